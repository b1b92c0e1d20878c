"""Measures how the monitor keeps up: how many events, and how long after they happened."""

from __future__ import annotations

import os
import socket
import statistics
from collections.abc import Iterable

from scheduler.store.database import Clock
from scheduler.store.monitors import Reading

READING_SECONDS = 1.0
"""Time between two readings."""


class Meter:
    """Counts from one reading to the next.

    Args:
        clock: the present, in UTC; events carry their worker's.
    """

    def __init__(self, clock: Clock) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._clock = clock
        self._started_at = self._last = clock()
        self._folded = 0
        self._lags: list[float] = []

    def folded(self, times: Iterable[float]) -> None:
        """Events are in the database; ``times`` are theirs, in seconds since the epoch."""
        now = self._clock().timestamp()
        self._lags += [max(0.0, now - time) for time in times]

    @property
    def has_folded(self) -> bool:
        """Whether events were folded since the last reading."""
        return bool(self._lags)

    def due(self) -> bool:
        """Whether it is time for a reading."""
        return (self._clock() - self._last).total_seconds() >= READING_SECONDS

    def read(self, queue_length: int) -> Reading:
        """What happened since the last reading."""
        now = self._clock()
        seconds = max((now - self._last).total_seconds(), READING_SECONDS)
        lags, self._lags, self._last = self._lags, [], now
        self._folded += len(lags)
        return Reading(
            name=self.name,
            started_at=self._started_at,
            folded=self._folded,
            events_per_second=round(len(lags) / seconds, 1),
            lag_seconds=round(statistics.median(lags), 3) if lags else 0.0,
            longest_lag_seconds=round(max(lags, default=0.0), 3),
            queue_length=queue_length,
        )
