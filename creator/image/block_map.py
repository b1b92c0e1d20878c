"""Which ranges of an image a card needs, and their checksums.

The map follows what the file systems say is in use, never what happens to be a hole in the image file: a
zeroed FAT sector, inode table or journal block must reach a card that was used before.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.image_format import BLOCK_BYTES, CHUNK_BYTES, Chunk, Range, merge, pieces
from creator.image.boot_partition import opened
from creator.image.ext4 import Ext4


def mapped_ranges(image: Path, layout: Layout) -> tuple[Range, ...]:
    """All that must reach the card, in whole blocks, ascending.

    That is the partition table and what lies before the boot partition, every block that the three file
    systems use, and the last block.
    """
    parts = (
        [Range(0, BOOT_OFFSET)],
        boot_ranges(image),
        ext4_ranges(image, layout.root_offset),
        ext4_ranges(image, layout.data_offset),
        [last_block(image)],
    )
    return merge(itertools.chain(*parts))


def boot_ranges(image: Path) -> Iterator[Range]:
    """What a card needs of the boot partition, in whole blocks."""
    with opened(image) as system:
        yield from map(_whole_blocks, system.used_ranges())


def ext4_ranges(image: Path, offset: int) -> Iterator[Range]:
    """What a card needs of an ext4 file system, in whole blocks.

    What this process wrote to the image is on the disk afterwards: libext2fs waits for it.
    """
    with Ext4(image, offset) as system:
        yield from map(_whole_blocks, system.used_ranges())


def last_block(image: Path) -> Range:
    """So that a card or an upload written in order ends at its full size."""
    return Range(image.stat().st_size - BLOCK_BYTES, BLOCK_BYTES)


def split(ranges: Iterable[Range], place: int) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """Those below ``place`` and those from there on; what lies across is cut."""
    cut = tuple(_cut(ranges, [Range(place, 0)]))
    return tuple(item for item in cut if item.end <= place), tuple(item for item in cut if item.end > place)


def checksum(
    image: Path,
    ranges: Iterable[Range],
    observe: Callable[[int], None],
    *,
    apart: Iterable[Range] = (),
    ready: Callable[[Range], None] = lambda _piece: None,
) -> tuple[Chunk, ...]:
    """Reads the ranges and gives their chunks; none crosses a multiple of :data:`CHUNK_BYTES`.

    Args:
        image: the image file.
        ranges: as :func:`mapped_ranges` gives them.
        observe: called with the bytes of each chunk read.
        apart: parts of them that share no chunk with anything else.
        ready: called before a chunk is read: returns when it may be.
    """
    chunks: list[Chunk] = []
    memory = memoryview(bytearray(CHUNK_BYTES))
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for piece in pieces(_cut(ranges, apart)):
            ready(piece)
            data = memory[: piece.length]
            if os.preadv(descriptor, [data], piece.offset) != piece.length:
                raise ImageDamaged(f"The image could not be read at byte {piece.offset}.")
            chunks.append(Chunk(piece.offset, piece.length, hashlib.sha256(data).hexdigest()))
            observe(piece.length)
    finally:
        os.close(descriptor)
    return tuple(chunks)


def _whole_blocks(item: Range) -> Range:
    start = item.offset // BLOCK_BYTES * BLOCK_BYTES
    end = -(-item.end // BLOCK_BYTES) * BLOCK_BYTES
    return Range(start, end - start)


def _cut(ranges: Iterable[Range], apart: Iterable[Range]) -> Iterator[Range]:
    cuts = sorted({place for item in apart for place in (item.offset, item.end)})
    for item in ranges:
        inside = [cut for cut in cuts if item.offset < cut < item.end]
        for start, end in itertools.pairwise((item.offset, *inside, item.end)):
            yield Range(start, end - start)
