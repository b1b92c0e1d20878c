"""A card that comes back: what it says that it holds, so that only what differs has to be written.

Its manifest lies on its boot partition. It proves nothing: the card may have been used since, or say what it
likes. So what it tells spares writing only, never reading back.
"""

from __future__ import annotations

import mmap

from cardshop.card_documents import manifest_on
from cardshop.contract.errors import CardFailed, ImageDamaged
from cardshop.image_format import BLOCK_BYTES, Chunk
from writer.card_io import CardIO


def chunks_told(io: CardIO, size_bytes: int) -> frozenset[Chunk]:
    """The chunks that the card's own manifest lists; none when there is no manifest that can be read.

    Raises:
        CardRefused: it was taken out.
    """

    def read(offset: int, length: int) -> bytes:
        first = offset // BLOCK_BYTES * BLOCK_BYTES
        end = min(-(-(offset + length) // BLOCK_BYTES) * BLOCK_BYTES, size_bytes // BLOCK_BYTES * BLOCK_BYTES)
        if end <= first:
            return b""
        with mmap.mmap(-1, end - first) as memory:  # direct I/O wants whole blocks at page boundaries
            with memoryview(memory) as view:
                io.get(view, first)
            return memory[offset - first : offset - first + length]

    try:
        return frozenset(manifest_on(read).manifest.chunks)
    except (ImageDamaged, CardFailed):
        return frozenset()
