"""Counts a phase's bytes for whoever watches."""

from __future__ import annotations

from cardshop.contract.events import Phase
from creator.plan import Observe


class Meter:
    """Progress of one phase; tells 0 at once. Safe for one thread.

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
        self.add(0)

    def add(self, count: int) -> None:
        """``count`` more bytes are done."""
        self.at(self._done + count)

    def at(self, done: int) -> None:
        """``done`` bytes of the phase are done."""
        self._done = min(done, self._total)
        self._observe(self._phase, self._done, self._total, "bytes")

    def finish(self) -> None:
        """All of it is done."""
        self.at(self._total)
