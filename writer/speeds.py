"""How fast a card is, from the times of its pieces."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cardshop.contract.events import Speed

LEAST_BYTES = 1024 * 1024
"""A smaller piece tells how long a request takes, not how fast bytes go."""


class SpeedMeter:
    """Times pieces."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._speeds: list[float] = []  # bytes a second

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Times the block, which moves ``count`` bytes; one that fails doesn't count."""
        begun = self._clock()
        yield
        seconds = self._clock() - begun
        if count >= LEAST_BYTES and seconds > 0:
            self._speeds.append(count / seconds)

    def speed(self) -> Speed | None:
        """The median and the worst so far; None when no piece was large enough."""
        if not self._speeds:
            return None
        return Speed(round(statistics.median(self._speeds)), round(min(self._speeds)))
