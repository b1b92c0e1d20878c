"""Which bytes of an image travel in one transfer, and how many of them count."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from cardshop.image_format import Chunk, Range

GAP_BYTES = 4 * 1024 * 1024
"""A hole shorter than this is sent as zeroes: that takes less time than one transfer more."""


def spans(chunks: Iterable[Chunk]) -> tuple[Range, ...]:
    """Ranges that together hold ``chunks`` (ascending), over gaps shorter than :data:`GAP_BYTES`."""
    found: list[Range] = []
    for chunk in chunks:
        if found and chunk.offset - found[-1].end < GAP_BYTES:
            found[-1] = Range(found[-1].offset, chunk.end - found[-1].offset)
        else:
            found.append(Range(chunk.offset, chunk.length))
    return tuple(found)


class MappedBytes:
    """Counts the mapped bytes before any offset of an image, for its progress."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks
        self._offsets = [chunk.offset for chunk in chunks]
        self._before = [0, *accumulate(chunk.length for chunk in chunks)]

    def before(self, offset: int) -> int:
        """Bytes of chunks that lie before ``offset``."""
        index = bisect_right(self._offsets, offset) - 1
        if index < 0:
            return 0
        chunk = self._chunks[index]
        return self._before[index] + min(offset - chunk.offset, chunk.length)
