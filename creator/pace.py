"""Holds all fetching of a creator to a number of bytes a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """A limit that several threads share.

    Args:
        bytes_per_second: the limit; 0 is none.
        clock: seconds, monotonic.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def took(self, count: int) -> float:
        """``count`` bytes came: returns when the next may, and how many seconds that took."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + count / self._rate
            wait = self._free_at - now
        self._sleep(wait)
        return wait
