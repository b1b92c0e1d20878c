"""The jobs that schedules name. Each returns a sentence about what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scheduler.catalogue.web import Web
from scheduler.shop import catalogue, tasks
from scheduler.store.schedules import Schedule
from scheduler.store.store import Store

Job = Callable[[Store], str]

DEFAULT_SCHEDULES = (
    Schedule("give write tasks to writers", "dispatch-waiting", every_seconds=5),
    Schedule("give up silent tasks", "give-up-silent", every_seconds=30),
    Schedule("read the catalogues", "refresh-catalogues", every_seconds=6 * 3600),
)


def jobs(private_mirrors: frozenset[str]) -> Mapping[str, Job]:
    """The jobs by the name that schedules have for them.

    Args:
        private_mirrors: hosts that catalogues may be read from though their addresses are private.
    """
    web = Web(private_mirrors)
    return {
        "dispatch-waiting": lambda store: f"asked writers for {tasks.dispatch_waiting(store)} orders",
        "give-up-silent": lambda store: f"gave up {tasks.give_up_silent(store)} tasks",
        "refresh-catalogues": lambda store: f"read {catalogue.refresh_all(store, web)} catalogues",
    }
