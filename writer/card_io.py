"""Reads and writes an open card; what fails in a large piece is tried again in small ones.

A reader that hiccups, or a hub that resets, fails a whole request of megabytes. The same bytes in small
pieces then either go through, or show the very sector that doesn't.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from cardshop.contract.errors import CardFailed, CardRefused
from writer.guard import OpenCard
from writer.rules import READ_ONLY_HINT

SECTOR_BYTES = 512

TRIES = 3
"""Of each small piece."""

PIECES_BYTES = (64 * 1024, 4096)
"""Sizes of the small pieces; then the sectors one by one, where the card allows it."""

_READ_ONLY = (errno.EROFS, errno.EPERM, errno.EACCES)

THROW_AWAY = "Throw the card away and put in another."


class CardIO:
    """The bytes of one open card, for several threads; no two of them for the same bytes.

    ``retried`` counts requests that went through only in smaller pieces.
    """

    def __init__(self, card: OpenCard) -> None:
        self._card = card
        self._serial = card.inserted.card.serial
        self._smallest = card.sector_bytes
        self.retried = 0
        self._counting = threading.Lock()

    def put(self, data: memoryview, offset: int) -> None:
        """Writes ``data``. Raises CardRefused, CardFailed."""
        self._move(data, offset, "take", self._pwrite)

    def get(self, data: memoryview, offset: int) -> None:
        """Fills ``data``. Raises CardRefused, CardFailed."""
        self._move(data, offset, "give back", self._pread)

    def flush(self) -> None:
        """All that was put is on the card. Raises CardRefused, CardFailed."""
        try:
            self._card.flush()
        except OSError as error:
            self._card.check_really_there()
            raise CardFailed(
                f"The card {self._serial} did not keep what was written: {os.strerror(error.errno or 0)}.",
                hint=THROW_AWAY,
            ) from error

    def _move(
        self, data: memoryview, offset: int, verb: str, request: Callable[[memoryview, int], None]
    ) -> None:
        try:
            request(data, offset)
        except OSError as error:
            self._check_cause(error)
            self._move_in_pieces(data, offset, verb, request, 0)
            with self._counting:
                self.retried += 1

    def _move_in_pieces(
        self,
        data: memoryview,
        offset: int,
        verb: str,
        request: Callable[[memoryview, int], None],
        level: int,
    ) -> None:
        sizes = [size for size in (*PIECES_BYTES, self._smallest) if size >= self._smallest]
        size = sizes[level]
        for start in range(0, len(data), size):
            piece, at = data[start : start + size], offset + start
            for tried in range(TRIES):
                try:
                    request(piece, at)
                    break
                except OSError as error:
                    self._check_cause(error)
                    if tried + 1 < TRIES:
                        continue
                    if level + 1 < len(sizes):
                        self._move_in_pieces(piece, at, verb, request, level + 1)
                        break
                    raise CardFailed(
                        f"The card {self._serial} does not {verb} the bytes at {at} "
                        f"(sector {at // SECTOR_BYTES}): {os.strerror(error.errno or 0)}.",
                        hint=THROW_AWAY,
                    ) from error

    def _check_cause(self, error: OSError) -> None:
        """It may not be the card's fault: it is gone, or its switch was moved."""
        self._card.check_really_there()
        if error.errno in _READ_ONLY:
            raise CardRefused(f"The card {self._serial} became read-only.", hint=READ_ONLY_HINT) from error
        self._card.check_writable()

    def _pwrite(self, data: memoryview, offset: int) -> None:
        while data:
            count = os.pwrite(self._card.descriptor, data, offset)
            data, offset = data[count:], offset + count

    def _pread(self, data: memoryview, offset: int) -> None:
        while data:
            count = os.preadv(self._card.descriptor, [data], offset)
            if count == 0:
                raise CardFailed(
                    f"The card {self._serial} ends at byte {offset}.", hint="Put in another card."
                )
            data, offset = data[count:], offset + count
