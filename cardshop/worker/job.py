"""What a service gives to the worker: its kind of work, and its slots."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cardshop.contract.events import Card, Outcome
from cardshop.contract.tasks import Claim, CreateTask, WriteTask
from cardshop.worker.reporter import Reporter

TaskMessage = TypeVar("TaskMessage", CreateTask, WriteTask)


@dataclass(frozen=True)
class Job(Generic[TaskMessage]):
    """One kind of task.

    Attributes:
        task: its name (``names.CREATE_TASK``).
        queue: where its messages come from; it must exist, workers declare nothing.
        read: makes the message of its JSON object, or raises MessageRejected.
        work: does it, in a child process. A CardshopError that it raises becomes the task's failure. It must
            let ``Stopped`` pass, and be able to begin again after it was killed at any point.
    """

    task: str
    queue: str
    read: Callable[[Mapping[str, Any]], TaskMessage]
    work: Callable[[TaskMessage, Claim, Reporter], Outcome]


class Slots(Protocol):
    """Tells of slots; for the thread that watches them."""

    def slot_changed(self, slot: str, card: Card | None) -> None:
        """Tells that ``slot`` has ``card`` now, or none. Tell of each slot once at the start."""


Watch = Callable[[Slots, threading.Event], None]
"""Watches the slots until the event is set. Runs in a thread of its own, between tasks too."""
