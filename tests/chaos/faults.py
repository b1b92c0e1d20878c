"""What goes wrong, when: drawn from a seed, so that a run can be had again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cardshop.contract.errors import Unavailable
from cardshop.stack.stack import Stack
from tests.chaos.network import Network

SINGLE = ("scheduler", "monitor", "beat", "warehouse", "rabbit", "mongod")
"""Services that there is one of; workers come beside them, as one kind each."""

PAUSE_SECONDS = (2.0, 5.0)
CUT_SECONDS = 10.0
LOOK_SECONDS = 0.25
"""Between two looks whether the moment for a fault has come."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        after: seconds since the one before.
        service: whom it hits.
        cut: its cable is cut for :data:`CUT_SECONDS`; otherwise its process is killed with SIGKILL.
        forgotten: its connections are dead after the cut.
        phase: of a card's making, at which it is to happen; empty: at any time.
    """

    after: float
    service: str
    cut: bool = False
    forgotten: bool = False
    phase: str = ""

    def __str__(self) -> str:
        at = f" at {self.phase}" if self.phase else ""
        if not self.cut:
            return f"{self.service} killed{at}"
        return f"{self.service} cut off{at}{', connections forgotten' if self.forgotten else ''}"


def plan(seed: int, creators: Sequence[str], writers: Sequence[str]) -> Iterator[Fault]:
    """The faults of a seed, without an end. Each kind of service is hit equally often, and so is a cable."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    kinds = [*SINGLE, "creator", "writer", "cable"]
    while True:
        after = dice.uniform(*PAUSE_SECONDS)
        kind = dice.choice(kinds)
        worker = dice.choice(list({"creator": creators, "writer": writers}.get(kind, (*creators, *writers))))
        forgotten = dice.random() < 0.5
        if kind == "cable":
            yield Fault(after, worker, cut=True, forgotten=forgotten)
        else:
            yield Fault(after, kind if kind in SINGLE else worker)


@dataclass
class Saboteur:
    """Does what the plan says, in a thread, until it is told to end; the supervisor starts what it kills.

    Attributes:
        aim: what a fault hits when its moment has come, None before that.
        most: so many faults, and no more; None: until the end.
        done: how many there were.
    """

    stack: Stack
    network: Network
    faults: Iterator[Fault]
    tell: Callable[[str], None]
    aim: Callable[[Fault], Fault | None] = lambda fault: fault
    most: int | None = None
    done: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins."""
        self._thread = threading.Thread(target=self._work, name="saboteur")
        self._thread.start()

    def end(self) -> None:
        """Ends, with all cables whole."""
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        cuts: dict[str, tuple[float, bool]] = {}
        while self.done != self.most:
            fault = self._next(cuts)
            if fault is None:
                break
            if fault.cut:
                self.network.cut(fault.service)
                cuts[fault.service] = (time.monotonic() + CUT_SECONDS, fault.forgotten)
            elif not self._kill(fault.service):
                continue
            self.done += 1
            self.tell(str(fault))
        self._wait(CUT_SECONDS, cuts)
        for worker in cuts:
            self.network.mend(worker, forgotten=False)

    def _next(self, cuts: dict[str, tuple[float, bool]]) -> Fault | None:
        """The next fault when its moment has come; None: the end was asked for before."""
        planned = next(self.faults)
        if self._wait(planned.after, cuts):
            return None
        while (fault := self.aim(planned)) is None:
            if self._wait(LOOK_SECONDS, cuts):
                return None
        return fault

    def _wait(self, seconds: float, cuts: dict[str, tuple[float, bool]]) -> bool:
        """Waits, and mends meanwhile what is due; whether the end was asked for."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for worker in [worker for worker, (due, _) in cuts.items() if due <= now]:
                self.network.mend(worker, forgotten=cuts.pop(worker)[1])
            if now >= until:
                return False
            next_due = min((due for due, _ in cuts.values()), default=until)
            if self._ended.wait(max(0.0, min(until, next_due) - now)):
                return True

    def _kill(self, service: str) -> bool:
        """Whether there was a process to kill: one that is just being started again is left to that."""
        try:
            self.stack.supervisor.send_signal(service, "KILL")
        except Unavailable:
            return False
        return True
