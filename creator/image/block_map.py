"""Which ranges of an image a card needs, and their checksums.

The map follows what the file systems say is in use, never what happens to be a hole in the image file: a
zeroed FAT sector, inode table or journal block must reach a card that was used before.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.fat32 import Fat32
from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.image_format import BLOCK_BYTES, Chunk, Range, merge, pieces
from creator.image.ext4 import Ext4

_THREADS = 2
_BATCH = 256  # chunks handed to the threads at once


def mapped_ranges(image: Path, layout: Layout) -> tuple[Range, ...]:
    """All that must reach the card, in whole blocks, ascending.

    That is the partition table and what lies before the boot partition, every block that the three file
    systems use, and the last block, so that a card or an upload written in order ends at its full size.
    """
    size = image.stat().st_size
    ranges = [Range(0, BOOT_OFFSET), Range(size - BLOCK_BYTES, BLOCK_BYTES)]
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        ranges.extend(
            Fat32(lambda offset, length: os.pread(descriptor, length, offset), BOOT_OFFSET).used_ranges()
        )
    finally:
        os.close(descriptor)
    for offset in (layout.root_offset, layout.data_offset):
        with Ext4(image, offset) as system:
            ranges.extend(system.used_ranges())
    return merge(_whole_blocks(item) for item in ranges)


def checksum(
    image: Path, ranges: tuple[Range, ...], apart: Iterable[Range], observe: Callable[[int], None]
) -> tuple[Chunk, ...]:
    """Reads the ranges and gives their chunks; none crosses a multiple of :data:`CHUNK_BYTES`.

    Args:
        image: the image file.
        ranges: as :func:`mapped_ranges` gives them.
        apart: parts of them that share no chunk with anything else.
        observe: called with the bytes of each chunk read.
    """
    chunks: list[Chunk] = []
    left = pieces(_cut(ranges, apart))
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)

    def read(piece: Range) -> Chunk:
        data = os.pread(descriptor, piece.length, piece.offset)
        if len(data) != piece.length:
            raise ImageDamaged(f"The image could not be read at byte {piece.offset}.")
        return Chunk(piece.offset, piece.length, hashlib.sha256(data).hexdigest())

    try:
        with ThreadPoolExecutor(_THREADS) as readers:
            while batch := tuple(islice(left, _BATCH)):
                for chunk in readers.map(read, batch):
                    chunks.append(chunk)
                    observe(chunk.length)
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
