"""Counts a phase's bytes for whoever watches."""

from __future__ import annotations

import threading

from cardshop.contract.events import Phase
from creator.plan import Observe


class Meter:
    """Progress of one phase; tells 0 at once. For one thread, but :meth:`count`.

    Args:
        phase: what is being done.
        total: its bytes in all.
        observe: who is told.
    """

    def __init__(self, phase: Phase, total: int, observe: Observe) -> None:
        self._phase = phase
        self._total = total
        self._observe = observe
        self._done = 0
        self._aside = 0
        self._lock = threading.Lock()
        self.add(0)

    def add(self, count: int) -> None:
        """``count`` more bytes are done."""
        with self._lock:
            count, self._aside = count + self._aside, 0
        self.at(self._done + count)

    def count(self, count: int) -> None:
        """``count`` more bytes are done in another thread; told when this one tells of more."""
        with self._lock:
            self._aside += count

    def at(self, done: int) -> None:
        """``done`` bytes of the phase are done."""
        self._done = min(done, self._total)
        self._observe(self._phase, self._done, self._total, "bytes")

    def finish(self) -> None:
        """All of it is done."""
        self.at(self._total)
