"""Tells a card, ahead of what is written to it, which of its old bytes are of no use any more.

A card that knows so erases them before they are written over. It is told in pieces while the image is
written, so that a card or a reader that does both at once loses no time by it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from cardshop.image_format import BLOCK_BYTES
from writer.guard import OpenCard

PIECE_BYTES = 256 * 1024 * 1024
"""What a card is told to forget at once: it answers within seconds."""


class DiscardAhead:
    """Discards an open card from somewhere on to its end, for several threads that write to it.

    A card that can't, or that refuses, is left as it is: it is written over, as any other card.

    Args:
        card: open, checked by the guard.
        begin: nothing below this is forgotten.
    """

    def __init__(self, card: OpenCard, begin: int) -> None:
        self._card = card
        self._size = card.inserted.card.size_bytes
        self._reached = -(-begin // BLOCK_BYTES) * BLOCK_BYTES
        if not card.can_discard:
            self._reached = self._size
        self._lock = threading.Lock()

    def reach(self, end: int) -> None:
        """Nothing below ``end`` is forgotten any more after this: it may be written. Raises CardRefused."""
        if self._reached < end:
            with self._lock:
                while self._reached < end:
                    self._next()
        elif self._reached < end + PIECE_BYTES and self._lock.acquire(blocking=False):
            # One of the threads sees to what comes next, the others go on.
            try:
                self._next()
            finally:
                self._lock.release()

    def rest(self, tell: Callable[[], None]) -> None:
        """The card's end too; ``tell`` is called after each piece. Raises CardRefused."""
        with self._lock:
            while self._reached < self._size:
                self._next()
                tell()

    def _next(self) -> None:
        if self._reached >= self._size:
            return
        self._card.check_there()
        length = min(PIECE_BYTES, self._size - self._reached)
        try:
            self._card.discard(self._reached, length)
        except OSError:
            self._reached = self._size
        else:
            self._reached += length
