"""Reads a FAT32 file system without mounting it (format: Microsoft's FAT specification, version 1.03).

Used on images and on cards: nothing that stands in it is trusted. A chain or a folder that leads in circles
ends, and whatever a card says, no more than some tens of megabytes are read to find a file.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import Range

Read = Callable[[int, int], bytes]
"""``read(offset, length)`` gives so many bytes of the image or the card, or fewer at its end."""

_BOOT_SECTOR_BYTES = 512
_HEAD = struct.Struct("<11x H B H B 15x I I 4x I")
"""Bytes per sector, sectors per cluster, reserved sectors, number of FATs; total sectors, sectors per FAT;
first cluster of the root folder."""
_SIGNATURE = b"\x55\xaa"
_FIRST_CLUSTER = 2
_ENTRY_BYTES = 4
_ENTRY_MASK = 0x0FFFFFFF
_LARGEST_TABLE_BYTES = 64 * 1024 * 1024
_SECTOR_BYTES = (512, 1024, 2048, 4096)
_LARGEST_FOLDER_BYTES = 2 * 1024 * 1024  # the specification's limit
_MOST_LISTED_BYTES = 32 * 1024 * 1024  # of all folders together
_MOST_ENTRIES = 100_000

_FOLDER_ENTRY = struct.Struct("<11s B B 7x H 4x H I")
"""Short name, attributes, case of the short name; high and low half of the first cluster, size in bytes."""
_FOLDER_ENTRY_BYTES = 32
_END, _DELETED = 0x00, 0xE5
_LABEL, _IS_FOLDER, _LONG_NAME = 0x08, 0x10, 0x0F
_LOWER_NAME, _LOWER_EXTENSION = 0x08, 0x10
_DEEPEST = 16


@dataclass(frozen=True)
class FatFile:
    """A file or a folder, and where on the disk its clusters are."""

    path: str  # "cardshop/recipe.json"
    bytes: int  # 0 for a folder
    ranges: tuple[Range, ...]  # whole clusters, in the file's order; neighbours are one
    is_folder: bool


class Fat32:
    """The file system that starts at ``offset`` of what ``read`` reads.

    Raises:
        ImageDamaged: there is no FAT32 file system.
    """

    def __init__(self, read: Read, offset: int) -> None:
        self._read = read
        self._offset = offset
        head = read(offset, _BOOT_SECTOR_BYTES)
        if head[-2:] != _SIGNATURE or head[82:87] != b"FAT32":
            raise ImageDamaged("The boot partition holds no FAT32 file system.")
        sector, per_cluster, reserved, copies, sectors, fat_sectors, self._root = _HEAD.unpack_from(head)
        if sector not in _SECTOR_BYTES or not per_cluster or not fat_sectors:
            raise ImageDamaged("The boot partition's FAT32 file system has sizes that can't be.")
        self._cluster_bytes = sector * per_cluster
        fat_offset = offset + reserved * sector
        self._data_offset = fat_offset + copies * fat_sectors * sector
        data_bytes = sectors * sector - (self._data_offset - offset)
        if data_bytes <= 0 or fat_sectors * sector > _LARGEST_TABLE_BYTES:
            raise ImageDamaged("The boot partition's FAT32 file system has a size that can't be.")
        table_bytes = (_FIRST_CLUSTER + data_bytes // self._cluster_bytes) * _ENTRY_BYTES
        if table_bytes > fat_sectors * sector:
            raise ImageDamaged("The boot partition's FAT32 file system is larger than its table.")
        table = read(fat_offset, table_bytes)
        self._next = [entry & _ENTRY_MASK for (entry,) in struct.iter_unpack("<I", table[: len(table) & ~3])]

    def used_ranges(self) -> Iterator[Range]:
        """Reserved sectors, all FATs (their zeroes too) and every allocated cluster; ascending."""
        yield Range(self._offset, self._data_offset - self._offset)
        for number, entry in enumerate(self._next):
            if number >= _FIRST_CLUSTER and entry:
                yield self._cluster(number)

    def files(self) -> Iterator[FatFile]:
        """All files and folders; what the folders' damage hides is left out."""
        yield FatFile("", 0, self._ranges(self._root), is_folder=True)
        for path, is_folder, cluster, size in self._entries():
            yield FatFile(path, 0 if is_folder else size, self._ranges(cluster), is_folder)

    def find(self, path: str) -> FatFile | None:
        """The file of that path, in any case of its letters."""
        wanted = path.lower()
        for found, is_folder, cluster, size in self._entries():
            if found.lower() == wanted and not is_folder:
                return FatFile(found, size, self._ranges(cluster), is_folder)
        return None

    def content(self, file: FatFile) -> bytes:
        """A file's bytes, as many as its clusters hold."""
        return b"".join(self._read(item.offset, item.length) for item in file.ranges)[: file.bytes]

    def _entries(self) -> Iterator[tuple[str, bool, int, int]]:
        """Path, whether it is a folder, first cluster and size of everything below the root."""
        return itertools.islice(self._below("", self._root, set()), _MOST_ENTRIES)

    def _below(self, parent: str, first: int, seen: set[int]) -> Iterator[tuple[str, bool, int, int]]:
        for name, attributes, cluster, size in _entries(self._listing(first, seen)):
            path = f"{parent}/{name}" if parent else name
            is_folder = bool(attributes & _IS_FOLDER)
            yield path, is_folder, cluster, size
            if is_folder and path.count("/") < _DEEPEST:
                yield from self._below(path, cluster, seen)

    def _listing(self, first: int, seen: set[int]) -> bytes:
        """What a folder lists; ``seen`` has the clusters of all folders so far, none is read twice."""
        clusters: list[Range] = []
        most = _LARGEST_FOLDER_BYTES // self._cluster_bytes
        for number in itertools.islice(self._chain(first), most):
            if number in seen or len(seen) * self._cluster_bytes >= _MOST_LISTED_BYTES:
                break
            seen.add(number)
            clusters.append(self._cluster(number))
        return b"".join(self._read(item.offset, item.length) for item in _joined(clusters))

    def _ranges(self, first: int) -> tuple[Range, ...]:
        return _joined(self._cluster(number) for number in self._chain(first))

    def _chain(self, first: int) -> Iterator[int]:
        seen: set[int] = set()
        number = first
        while _FIRST_CLUSTER <= number < len(self._next) and number not in seen:
            seen.add(number)
            yield number
            number = self._next[number]

    def _cluster(self, number: int) -> Range:
        offset = self._data_offset + (number - _FIRST_CLUSTER) * self._cluster_bytes
        return Range(offset, self._cluster_bytes)


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same bytes in the same order; a range that begins where the one before it ends is one with it."""
    found: list[Range] = []
    for item in ranges:
        if found and found[-1].end == item.offset:
            found[-1] = Range(found[-1].offset, found[-1].length + item.length)
        else:
            found.append(item)
    return tuple(found)


def _entries(listing: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Name, attributes, first cluster and size of each entry of a folder, without ``.`` and ``..``."""
    long_name = ""
    for start in range(0, len(listing) - _FOLDER_ENTRY_BYTES + 1, _FOLDER_ENTRY_BYTES):
        entry = listing[start : start + _FOLDER_ENTRY_BYTES]
        short, attributes, case, high, low, size = _FOLDER_ENTRY.unpack(entry)
        if short[0] == _END:
            return
        if attributes == _LONG_NAME and short[0] != _DELETED:
            # Its parts stand before the entry, the last part first.
            long_name = _long_part(entry) + long_name
            continue
        name, long_name = long_name or _short_name(short, case), ""
        if short[0] != _DELETED and not attributes & _LABEL and name not in (".", ".."):
            yield name, attributes, high << 16 | low, size


def _long_part(entry: bytes) -> str:
    text = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le", errors="replace")
    return text.partition("\0")[0].rstrip("\uffff")


def _short_name(short: bytes, case: int) -> str:
    name = short[:8].decode("cp437").rstrip()
    name = name.lower() if case & _LOWER_NAME else name
    extension = short[8:].decode("cp437").rstrip()
    extension = extension.lower() if case & _LOWER_EXTENSION else extension
    return f"{name}.{extension}" if extension else name
