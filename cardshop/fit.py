"""Does it fit? What an image of a given size holds, computed before anything is fetched or built.

The scheduler asks before it accepts an order, the creator lays out the image by the same numbers. The data
partition's cost follows mke2fs's own rules for the parameters below, so the forecast is what the made file
system has free. All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
ALIGNMENT = 4 * MIB
"""Partitions and images are whole multiples of this: no erase block of a card holds two of them."""

BOOT_OFFSET = 8 * MIB
BOOT_BYTES = 512 * MIB
BLOCK_BYTES = 4096
BYTES_PER_INODE = MIB
INODE_BYTES = 256
JOURNAL_BYTES = 16 * MIB
LARGEST_IMAGE_BYTES = 2**32 * 512
"""Sectors of 512 bytes have 32-bit numbers in the partition table."""

SHELF_BYTES = MIB
"""What the portal takes whatever the card holds: its page, its looks, the recipe's logo."""

SHELF_BYTES_PER_CONTENT = 104 * 1024
"""What ``library.xml`` and the portal take for each content, with its illustrations."""

_BLOCKS_PER_GROUP = 8 * BLOCK_BYTES
_GROUP_DESCRIPTOR_BYTES = 64
_FOLDER_BLOCKS = 7  # root 1, lost+found 4, contents 1, portal 1
_SMALLEST_LAST_GROUP = 50  # data blocks; mke2fs leaves a shorter last group unused
_FIRST_FREE_INODE = 11
_ENTRY_BYTES = 264  # of the longest file name in a folder
_BLOCKS_PER_EXTENT = 32768
_EXTENTS_PER_BLOCK = 340
_EXTENTS_IN_INODE = 4


@dataclass(frozen=True)
class Layout:
    """Where the partitions of an image are."""

    root_offset: int
    root_bytes: int
    data_offset: int
    data_bytes: int


@dataclass(frozen=True)
class Row:
    """One line of the table that shows what takes how much."""

    what: str  # boot, system, file system, contents
    bytes: int


@dataclass(frozen=True)
class Fit:
    """What the contents need of an image and what is left; ``free_bytes`` is negative when they don't fit."""

    rows: tuple[Row, ...]
    free_bytes: int

    @property
    def fits(self) -> bool:
        """All contents fit."""
        return self.free_bytes >= 0


def layout(image_bytes: int, root_bytes: int) -> Layout:
    """The partitions of an image with a root file system of ``root_bytes``.

    Raises:
        ValueError: the image is no multiple of :data:`ALIGNMENT`, or larger than a partition table can say.
    """
    if image_bytes % ALIGNMENT or not 0 < image_bytes <= LARGEST_IMAGE_BYTES:
        raise ValueError(f"no image has {image_bytes} bytes")
    root_offset = BOOT_OFFSET + BOOT_BYTES
    data_offset = _rounded_up(root_offset + root_bytes, ALIGNMENT) * ALIGNMENT
    return Layout(root_offset, root_bytes, data_offset, max(image_bytes - data_offset, 0))


def forecast(
    image_bytes: int, root_bytes: int, content_bytes: Sequence[int], *, has_shelf: bool = True
) -> Fit:
    """Says whether files of ``content_bytes`` each fit beside the base in an image of ``image_bytes``.

    ``has_shelf`` says that library and portal lie beside them, as on every card but an Offspot recipe's.
    """
    parts = layout(image_bytes, root_bytes)
    contents = sum(_file_bytes(size) for size in content_bytes)
    folder = len(content_bytes) * _ENTRY_BYTES // BLOCK_BYTES * BLOCK_BYTES
    free_when_made = data_free_bytes(parts.data_bytes)
    shelf = shelf_bytes(len(content_bytes)) if has_shelf else 0
    overhead = parts.data_bytes - free_when_made + shelf + folder
    return Fit(
        rows=(
            Row("boot", BOOT_OFFSET + BOOT_BYTES),
            Row("system", parts.data_offset - parts.root_offset),
            Row("file system", overhead),
            Row("contents", contents),
        ),
        free_bytes=image_bytes - parts.data_offset - overhead - contents,
    )


def shelf_bytes(contents: int) -> int:
    """What ``library.xml`` and the portal of so many contents take; the library is filled up to that."""
    return SHELF_BYTES + SHELF_BYTES_PER_CONTENT * contents


def data_free_bytes(data_bytes: int) -> int:
    """Free bytes of a new data partition's file system, as mke2fs makes it with the parameters above."""
    blocks = data_bytes // BLOCK_BYTES
    groups = _rounded_up(blocks, _BLOCKS_PER_GROUP)
    if blocks // 2 <= JOURNAL_BYTES // BLOCK_BYTES:  # mke2fs gives a journal no more than half of them
        return 0
    descriptor_blocks = _descriptor_blocks(groups)
    table_blocks = _inode_table_blocks(blocks, groups)
    last = blocks - (groups - 1) * _BLOCKS_PER_GROUP
    own = 2 + table_blocks + (1 + descriptor_blocks if _has_superblock(groups - 1) else 0)
    if groups > 1 and last < own + _SMALLEST_LAST_GROUP:
        blocks -= last
        groups -= 1
        descriptor_blocks = _descriptor_blocks(groups)
        table_blocks = _inode_table_blocks(blocks, groups)
    copies = sum(_has_superblock(group) for group in range(groups))
    used = groups * (2 + table_blocks) + copies * (1 + descriptor_blocks)
    free = blocks - used - JOURNAL_BYTES // BLOCK_BYTES - _FOLDER_BLOCKS
    return max(free, 0) * BLOCK_BYTES


def _file_bytes(size: int) -> int:
    """A file's blocks and those of its extent tree, at most: libext2fs fills a leaf by half at least."""
    blocks = _rounded_up(size, BLOCK_BYTES)
    extents = blocks // _BLOCKS_PER_EXTENT + 2
    leaves = 0 if extents <= _EXTENTS_IN_INODE else _rounded_up(extents, _EXTENTS_PER_BLOCK // 2)
    tree = leaves + (1 if leaves > _EXTENTS_IN_INODE else 0)
    return (blocks + tree) * BLOCK_BYTES


def _descriptor_blocks(groups: int) -> int:
    return _rounded_up(groups * _GROUP_DESCRIPTOR_BYTES, BLOCK_BYTES)


def _inode_table_blocks(blocks: int, groups: int) -> int:
    inodes = max(blocks * BLOCK_BYTES // BYTES_PER_INODE, _FIRST_FREE_INODE + 1)
    per_block = BLOCK_BYTES // INODE_BYTES
    return _rounded_up(_rounded_up(inodes, groups), per_block)


def _has_superblock(group: int) -> bool:
    if group in (0, 1):
        return True
    return any(_is_power(group, base) for base in (3, 5, 7))


def _rounded_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
