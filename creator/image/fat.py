"""Which bytes of a FAT32 file system are in use (format: Microsoft's FAT specification, version 1.03)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import Range

_BOOT_SECTOR_BYTES = 512
_HEAD = struct.Struct("<11x H B H B 15x I I")
"""Bytes per sector, sectors per cluster, reserved sectors, number of FATs; total sectors, sectors per FAT."""
_SIGNATURE = b"\x55\xaa"
_FIRST_CLUSTER = 2
_ENTRY_BYTES = 4
_ENTRY_MASK = 0x0FFFFFFF


def used_ranges(descriptor: int, offset: int) -> Iterator[Range]:
    """Reserved sectors, both FATs (their zeroes too) and every allocated cluster; ascending.

    Args:
        descriptor: the image, open for reading.
        offset: where the file system starts in it, bytes.

    Raises:
        ImageDamaged: there is no FAT32 file system.
    """
    head = os.pread(descriptor, _BOOT_SECTOR_BYTES, offset)
    if head[-2:] != _SIGNATURE or head[82:87] != b"FAT32":
        raise ImageDamaged("The boot partition holds no FAT32 file system.")
    sector, per_cluster, reserved, copies, sectors, fat_sectors = _HEAD.unpack_from(head)
    cluster = sector * per_cluster
    fat_offset = offset + reserved * sector
    data_offset = fat_offset + copies * fat_sectors * sector
    yield Range(offset, data_offset - offset)
    count = (sectors * sector - (data_offset - offset)) // cluster
    table = os.pread(descriptor, (_FIRST_CLUSTER + count) * _ENTRY_BYTES, fat_offset)
    for number, (entry,) in enumerate(struct.iter_unpack("<I", table)):
        if number >= _FIRST_CLUSTER and entry & _ENTRY_MASK:
            yield Range(data_offset + (number - _FIRST_CLUSTER) * cluster, cluster)
