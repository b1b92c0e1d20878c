"""How long something was going on, however many did it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class BusyClock:
    """``with clock:`` around each piece of work; counts the time in which any was going on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at_work = 0
        self._since = 0.0
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Until now."""
        with self._lock:
            return self._seconds + (self._clock() - self._since if self._at_work else 0.0)

    def __enter__(self) -> None:
        with self._lock:
            if not self._at_work:
                self._since = self._clock()
            self._at_work += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._at_work -= 1
            if not self._at_work:
                self._seconds += self._clock() - self._since
