"""Puts an image together in one file: table, boot, root and data partition."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cardshop.contract.tasks import Content
from cardshop.fit import BLOCK_BYTES, Layout, shelf_bytes
from cardshop.image_format import Range
from creator.books import read_books
from creator.image.base_image import BaseImage, copy_range
from creator.image.boot_partition import write_configuration
from creator.image.data_partition import add_contents, make_file_system
from creator.image.library import make_library
from creator.image.partition_table import write_table
from creator.portal.page import make_portal

_DISK_ID_DIGITS = 8
_ENTRY_BYTES = 32  # of a name in the portal's folder


def assemble(
    image: Path,
    layout: Layout,
    digest: str,
    base: BaseImage,
    configuration: Mapping[str, Any],
    contents: Iterable[tuple[Content, Path]],
    observe: Callable[[int], None],
) -> None:
    """Makes the image file; the same arguments make the same bytes, whenever and wherever.

    Args:
        image: the file to make; it must not exist.
        layout: size and place of the partitions.
        digest: the image's name, which its identities are derived from.
        base: where boot and root partition come from; its date becomes that of all that is added.
        configuration: for the card's first boot, and for its portal.
        contents: the ZIM files and where they are.
        observe: called with the bytes of each piece written.

    Raises:
        ContentDamaged, DoesNotFit, ImageDamaged, ProgramFailed: see the parts.
    """
    contents = tuple(contents)
    now = base.built_at
    _copy_base(image, layout, base, observe)
    write_table(image, layout, int(digest[:_DISK_ID_DIGITS], 16) or 1)
    write_configuration(image, configuration, now)
    make_file_system(image, layout, digest, now)
    books = read_books(contents)
    portal = make_portal(configuration, books)
    library = _filled_up(make_library(books), portal, len(books))
    files = [(content.file, path) for content, path in contents]
    add_contents(image, layout.data_offset, library, portal, files, now, observe)


def _filled_up(library: bytes, portal: Mapping[str, bytes], contents: int) -> bytes:
    """The library with so many empty lines that it and the portal take what the forecast counted."""
    blocks = sum(-(-len(content) // BLOCK_BYTES) for content in portal.values())
    blocks += len(portal) * _ENTRY_BYTES // BLOCK_BYTES
    return library.ljust(shelf_bytes(contents) - blocks * BLOCK_BYTES, b"\n")


def _copy_base(image: Path, layout: Layout, base: BaseImage, observe: Callable[[int], None]) -> None:
    source = os.open(base.image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(target, layout.data_offset + layout.data_bytes)
            for wanted in (Range(0, layout.root_offset), Range(layout.root_offset, layout.root_bytes)):
                observe(copy_range(source, target, wanted))
        finally:
            os.close(target)
    finally:
        os.close(source)
