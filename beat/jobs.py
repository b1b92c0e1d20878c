"""The jobs that schedules name. Each returns a sentence about what it did."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.shop import tasks
from scheduler.store.schedules import Schedule
from scheduler.store.store import Store

Job = Callable[[Store], str]

JOBS: dict[str, Job] = {
    "dispatch-waiting": lambda store: f"asked writers for {tasks.dispatch_waiting(store)} orders",
    "give-up-silent": lambda store: f"gave up {tasks.give_up_silent(store)} tasks",
}

DEFAULT_SCHEDULES = (
    Schedule("give write tasks to writers", "dispatch-waiting", every_seconds=5),
    Schedule("give up silent tasks", "give-up-silent", every_seconds=30),
)
