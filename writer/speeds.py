"""How fast a card is, from the times of its pieces."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cardshop.contract.events import Speed
from writer.busy import BusyClock

WINDOW_BYTES = 16 * 1024 * 1024
"""One speed for so many bytes: pieces are under way together, and what one gains another loses."""

LEAST_BYTES = 1024 * 1024
"""Less tells how long a request takes, not how fast bytes go."""


class SpeedMeter:
    """Times pieces, of which some may be under way at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._busy = BusyClock(clock)
        self._lock = threading.Lock()
        self._bytes = 0
        self._since = 0.0
        self._speeds: list[float] = []  # bytes a second

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Times the block, which moves ``count`` bytes."""
        with self._busy:
            yield
        with self._lock:
            self._bytes += count
            if self._bytes >= WINDOW_BYTES:
                self._end_window()

    def speed(self) -> Speed | None:
        """The median and the worst so far; None when too few bytes were moved."""
        with self._lock:
            if self._bytes >= LEAST_BYTES:
                self._end_window()
            if not self._speeds:
                return None
            return Speed(round(statistics.median(self._speeds)), round(min(self._speeds)))

    def _end_window(self) -> None:
        now = self._busy.seconds
        if now > self._since:
            self._speeds.append(self._bytes / (now - self._since))
        self._bytes, self._since = 0, now
