"""Compares the bytes of an image file with its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from cardshop.image_format import Chunk

READ_BYTES = 1024 * 1024


def wrong_runs(descriptor: int, chunks: Iterable[Chunk]) -> Iterator[tuple[int, int]]:
    """The chunks that the open file does not hold, neighbours together; what lies beyond its end is wrong.

    Of each run the offsets of its first and its last chunk, as they are found.
    """
    run: tuple[int, int] | None = None
    for chunk in chunks:
        if not holds(descriptor, chunk):
            run = (run[0] if run else chunk.offset, chunk.offset)
        elif run:
            yield run
            run = None
    if run:
        yield run


def holds(descriptor: int, chunk: Chunk) -> bool:
    """Whether the open file holds the chunk's bytes."""
    checksum = hashlib.sha256()
    offset = chunk.offset
    while offset < chunk.end:
        data = os.pread(descriptor, min(READ_BYTES, chunk.end - offset), offset)
        if not data:
            return False
        checksum.update(data)
        offset += len(data)
    return checksum.hexdigest() == chunk.sha256
