"""Compares the bytes of an image file with its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from cardshop.image_format import Chunk

READ_BYTES = 1024 * 1024


def wrong_chunks(descriptor: int, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks that the open file does not hold, as they are found; what lies beyond its end is wrong."""
    for chunk in chunks:
        if not holds(descriptor, chunk):
            yield chunk


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
