"""Does the card hold what it says? Asked before the image is written, in about 200 small requests.

A counterfeit tells a size that its memory doesn't have. Beyond the true one it either begins again from the
start (an address line too few: at a power of two, or at a half, a quarter, ... of the told size), or loses
what it is given. So for each such size P a mark is written at some place x near the beginning and then one
at x + P: when x gives back the mark of x + P, the card begins again at P. When x + P gives back no mark,
something below it is the end, and is looked for by halving. The proof can't find a counterfeit that begins
again at any other size: the full read back does.
"""

from __future__ import annotations

import hashlib
import mmap
import secrets
from collections.abc import Callable

from cardshop.contract.errors import CardFailed
from cardshop.image_format import BLOCK_BYTES
from writer.card_io import CardIO

SMALLEST_PERIOD = 1024 * 1024
FRACTIONS = 10
"""Halvings of the told size that are tried."""

EXACT_TO_BYTES = 1024 * 1024
"""How closely the end of a card that loses bytes is looked for."""

Observe = Callable[[int, int], None]


class CapacityProof:
    """The proof for one open card.

    Args:
        io: of the card.
        size_bytes: what it says.
        serial: names it in errors.
    """

    def __init__(self, io: CardIO, size_bytes: int, serial: str) -> None:
        self._io = io
        self._size = size_bytes // BLOCK_BYTES * BLOCK_BYTES
        self._serial = serial
        self._nonce = secrets.token_bytes(16)
        self._memory = mmap.mmap(-1, BLOCK_BYTES)
        self._block = memoryview(self._memory)

    def prove(self, observe: Observe) -> None:
        """Leaves the card as it was when it holds what it says.

        Raises:
            CardFailed: it doesn't; the sentence tells what it holds.
            CardRefused: it was taken out, or is read-only.
        """
        pairs = self._pairs()
        places = sorted({place for pair in pairs for place in pair})
        before = {}
        for done, place in enumerate(places):
            before[place] = self._read(place)
            observe(done, 3 * len(places))
        for done, place in enumerate(places):
            self._write(place, self._mark(place))
            observe(len(places) + done, 3 * len(places))
        self._io.flush()
        for low, high in pairs:
            if self._read(low) == self._mark(high):
                raise self._counterfeit(high - low)
        lost = [place for place in places if self._read(place) != self._mark(place)]
        if lost:
            raise self._counterfeit(self._end_below(lost[0], places))
        for done, place in enumerate(places):
            self._write(place, before[place])
            observe(2 * len(places) + done + 1, 3 * len(places))

    def _pairs(self) -> list[tuple[int, int]]:
        """Places whose marks would be one on a card that begins again at their difference, smallest first."""
        periods = {self._size >> halvings for halvings in range(1, FRACTIONS)}
        periods |= {1 << exponent for exponent in range(20, 48)}
        sizes = sorted(
            period // BLOCK_BYTES * BLOCK_BYTES
            for period in periods
            if SMALLEST_PERIOD <= period <= self._size - SMALLEST_PERIOD
        )
        pairs = [(number * BLOCK_BYTES, number * BLOCK_BYTES + size) for number, size in enumerate(sizes, 1)]
        end = self._size - BLOCK_BYTES
        return [*pairs, (0, end)]

    def _end_below(self, lost: int, places: list[int]) -> int:
        """Where the card ends, between the last place that kept its mark and the first that lost it."""
        kept = max((place for place in places if place < lost), default=0)
        while lost - kept > EXACT_TO_BYTES:
            middle = (kept + lost) // 2 // BLOCK_BYTES * BLOCK_BYTES
            self._write(middle, self._mark(middle))
            self._io.flush()
            if self._read(middle) == self._mark(middle):
                kept = middle
            else:
                lost = middle
        return lost

    def _mark(self, place: int) -> bytes:
        seed = self._nonce + place.to_bytes(8, "little")
        return hashlib.shake_256(seed).digest(BLOCK_BYTES)

    def _read(self, place: int) -> bytes:
        self._io.get(self._block, place)
        return bytes(self._block)

    def _write(self, place: int, content: bytes) -> None:
        self._block[:] = content
        self._io.put(self._block, place)

    def _counterfeit(self, holds: int) -> CardFailed:
        return CardFailed(
            f"The card {self._serial} says that it has {self._size} bytes and holds about {holds}: "
            "a counterfeit.",
            hint="Throw the card away, and buy the next ones elsewhere.",
        )
