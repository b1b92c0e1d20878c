"""All files and folders of an ext4 file system, and where in the image their blocks are.

A folder's blocks are lists of entries (format: ``fs/ext4/ext4.h`` of Linux); those of a folder with an index
look like entries without an inode.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from cardshop.image_format import Range
from creator.image.ext4 import ROOT_INODE, Ext4

_ENTRY = struct.Struct("<I H B B")
"""Inode, length of the entry, length of the name, type."""


def files_of(image: Path, offset: int) -> Iterator[tuple[str, tuple[Range, ...]]]:
    """Path (a folder's ends with ``/``) and whole blocks of each; what has no blocks is left out.

    A file with several names is told with the first, in the order of their names.

    Args:
        image: the image file.
        offset: where the file system starts, bytes.

    Raises:
        ImageDamaged: it can't be read.
    """
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Ext4(image, offset) as system:
            seen: set[int] = set()
            folders = [("/", ROOT_INODE)]
            while folders:
                path, number = folders.pop()
                blocks = system.blocks_of(number)
                yield path, blocks
                listing = b"".join(os.pread(descriptor, item.length, item.offset) for item in blocks)
                for name, inode in sorted(_entries(listing, system.block_bytes)):
                    if inode in seen:
                        continue
                    seen.add(inode)
                    mode = system.mode_of(inode)
                    if stat.S_ISDIR(mode):
                        folders.append((f"{path}{name}/", inode))
                    elif found := system.blocks_of(inode):
                        yield f"{path}{name}", found
    finally:
        os.close(descriptor)


def _entries(listing: bytes, block_bytes: int) -> Iterator[tuple[str, int]]:
    place = 0
    while place + _ENTRY.size <= len(listing):
        inode, length, name_length, _type = _ENTRY.unpack_from(listing, place)
        name = os.fsdecode(listing[place + _ENTRY.size : place + _ENTRY.size + name_length])
        if inode and name not in (".", ".."):
            yield name, inode
        place += length or block_bytes
