"""Puts an image together in one file: its table and an empty data partition, then all that is copied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.image_format import Range
from creator.image.base_image import BaseImage, copy_range
from creator.image.copying import Piece
from creator.image.data_partition import lay_out, make_file_system
from creator.image.partition_table import write_table
from creator.image.tree import Tree


@dataclass(frozen=True)
class Card:
    """What a card has beyond its base."""

    disk_id: int  # of the partition table, 32 bits, not 0
    configuration_path: str  # on the boot partition, from its root
    configuration: bytes | None  # what the first boot reads; may hold secrets; None: the base has it
    tree: Tree  # the data partition's


def assemble(image: Path, layout: Layout, digest: str, base: BaseImage, card: Card) -> tuple[Piece, ...]:
    """Makes the image file: partition table and data partition, but for the bytes of its large files.

    The same arguments make the same bytes, whenever and wherever.

    Args:
        image: the file to make; it must not exist.
        layout: size and place of the partitions.
        digest: the image's name, which its identities are derived from.
        base: where the boot code comes from; its date becomes that of all that is added.
        card: what is added.

    Returns:
        Where the large files are to be copied to.

    Raises:
        DoesNotFit, ImageDamaged, ProgramFailed: see the parts.
    """
    now = base.built_at
    with _open(base.image, os.O_RDONLY) as source, _open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL) as target:
        os.truncate(target, layout.data_offset + layout.data_bytes)
        copy_range(source, target, Range(0, BOOT_OFFSET))
        # Before the partitions are filled: these programs wait until all that the file has is on the disk.
        write_table(image, layout, card.disk_id)
        make_file_system(image, layout, digest, now)
        return lay_out(image, layout.data_offset, card.tree, now)


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
