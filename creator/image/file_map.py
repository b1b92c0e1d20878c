"""Writes down which file of an image each byte belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cardshop.fat32 import Fat32, Read
from cardshop.file_map import Area, FileMap, Part, parts_of, with_checksums
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, Layout
from cardshop.image_format import FILES_FILE, MANIFEST_FILE, PASSPORT_FILE
from creator.image.ext4_files import files_of

_DOCUMENTS = (FILES_FILE, MANIFEST_FILE, PASSPORT_FILE)
"""The manifest names their places; what is in them comes later."""

_BOOT, _SYSTEM, _DATA = "/boot/firmware", "/", "/data"
"""Where the running card has its partitions."""


def system_parts(base: Path, layout: Layout) -> tuple[Part, ...]:
    """The parts of the system partition's files, without checksums; an image has them where its base has.

    Raises:
        ImageDamaged: the file system can't be read.
    """
    return tuple(
        part for name, blocks in files_of(base, layout.root_offset) for part in parts_of(name, blocks)
    )


def file_map(image: Path, layout: Layout, system: Sequence[Part]) -> FileMap:
    """The map of an image in which all files are.

    Args:
        image: the image file.
        layout: where its partitions are.
        system: what :func:`system_parts` gave for its base, with checksums.

    Raises:
        ImageDamaged: one of its file systems can't be read.
    """
    areas = (
        Area("boot", _BOOT, BOOT_OFFSET, BOOT_BYTES),
        Area("system", _SYSTEM, layout.root_offset, layout.root_bytes),
        Area("data", _DATA, layout.data_offset, layout.data_bytes),
    )
    with _reading(image) as read:
        parts = (*_boot_parts(read), *_data_parts(image, layout))
        return FileMap(areas, (*system, *with_checksums(parts, read)))


def _boot_parts(read: Read) -> Iterator[Part]:
    for file in Fat32(read, BOOT_OFFSET).files():
        if file.path not in _DOCUMENTS:
            folder = "/" if file.is_folder and file.path else ""
            yield from parts_of(f"{_BOOT}/{file.path}{folder}", file.ranges)


def _data_parts(image: Path, layout: Layout) -> Iterator[Part]:
    for name, blocks in files_of(image, layout.data_offset):
        yield from parts_of(f"{_DATA}{name}", blocks)


@contextmanager
def _reading(image: Path) -> Iterator[Read]:
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield lambda offset, length: os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
