"""Faults at moments of a card's making: while its image comes, while it is written, while it is read back."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from tests.chaos.faults import Fault

PHASES = ("download", "write", "read-back")
WRITER = "writer"
HIT = (WRITER, "rabbit", "warehouse")
"""Killed, equally often; or the cable of the writer is cut, and with it its way to broker and warehouse."""

PAUSE_SECONDS = (0.5, 2.5)
LOOKS = 40
"""For a moment of the phase that is wanted; then one of any phase is good."""


def plan_moments(seed: int) -> Iterator[Fault]:
    """The faults of a seed, without an end; which writer they hit depends on who is in the phase then."""
    dice = random.Random(f"moments {seed}")  # noqa: S311 - to be repeated, not to be secret
    while True:
        after, phase = dice.uniform(*PAUSE_SECONDS), dice.choice(PHASES)
        service = dice.choice((*HIT, "cable"))
        forgotten = dice.random() < 0.5
        if service == "cable":
            yield Fault(after, WRITER, cut=True, forgotten=forgotten, phase=phase)
        else:
            yield Fault(after, service, phase=phase)


class Aim:
    """Waits for the moment of a fault.

    Args:
        tasks: all write tasks now, as the API tells them.
    """

    def __init__(self, tasks: Callable[[], Iterable[dict[str, Any]]]) -> None:
        self._tasks = tasks
        self._told: set[tuple[object, ...]] = set()
        self._looks = 0
        self.hits: Counter[str] = Counter()

    def __call__(self, fault: Fault) -> Fault | None:
        """The fault with the writer that it hits, or None: not yet.

        What was told before the last fault says nothing about this moment.
        """
        at_work = [task for task in self._tasks() if task["state"] == "started" and task["progress"]]
        fresh = [task for task in at_work if _mark(task) not in self._told]
        wanted = [task for task in fresh if task["progress"]["phase"] == fault.phase]
        self._looks += 1
        if not wanted and self._looks > LOOKS:
            wanted = fresh
        if not wanted:
            return None
        self._looks = 0
        self._told |= {_mark(task) for task in at_work}
        hit = wanted[0]
        phase = hit["progress"]["phase"]
        self.hits[phase] += 1
        service = hit["worker"] if fault.service == WRITER else fault.service
        return replace(fault, service=service, phase=phase)


def _mark(task: dict[str, Any]) -> tuple[object, ...]:
    progress = task["progress"]
    return (task["id"], task["attempt"], progress["phase"], progress["done"])
