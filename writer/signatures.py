"""Marks of RAIDs and volume groups on a disk, whether or not the host has put them together.

Where they stand: LVM2's label is in one of the first four sectors (``lib/format_text/layout.h`` of LVM2);
Linux RAID has its superblock at the beginning (1.1), 4 KiB after it (1.2), 8 (1.0) or 64 KiB (0.90) before
the end (``drivers/md/md.c`` of Linux).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable

_LVM = (b"LABELONE", b"LVM2 001")  # the second 24 bytes after the first
_MD_MAGIC = struct.pack("<I", 0xA92B4EFC)
_SECTOR = 512
_PAGE = 4096


def member_of(descriptor: int, size_bytes: int, starts: Iterable[int]) -> str:
    """What a disk or a part of it belongs to; empty when nothing says so.

    Args:
        descriptor: open for reading, past the page cache or not.
        size_bytes: of the disk.
        starts: offsets of the disk and its partitions, in bytes.
    """
    for start in starts:
        head = _read(descriptor, start, 2 * _PAGE)
        for label in range(0, 4 * _SECTOR, _SECTOR):
            if head[label : label + 8] == _LVM[0] and head[label + 24 : label + 32] == _LVM[1]:
                return "volume group (LVM)"
        if _MD_MAGIC in (head[:4], head[_PAGE : _PAGE + 4]):
            return "RAID"
    ends = (size_bytes - 8192) // _PAGE * _PAGE, (size_bytes // 65536 - 1) * 65536
    if any(_read(descriptor, end, _PAGE)[:4] == _MD_MAGIC for end in ends if end > 0):
        return "RAID"
    return ""


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """What can be read there: a card that can't be read is found to be bad later, and with the place."""
    with mmap.mmap(-1, length) as memory:  # direct I/O wants memory at page boundaries
        try:
            count = os.preadv(descriptor, [memory], offset // _PAGE * _PAGE)
        except OSError:
            return b""
        return bytes(memory[:count])
