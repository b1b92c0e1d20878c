"""Orders in the queue, and workers that take what they are given; for tests of whose turn it is."""

from __future__ import annotations

import itertools
from dataclasses import replace

from cardshop.contract.events import EventType, Failure
from scheduler.domain.dispatching import Priority
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import Task, TaskKind
from scheduler.shop import orders
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.store import Store
from tests.shop import a_draft, card_written, image_built, told

_digests = (f"{number:064x}" for number in itertools.count(1))


def placed(
    store: Store,
    channel: str = "a",
    *,
    priority: Priority = Priority.NORMAL,
    image_digest: str = "",
    quantity: int = 1,
) -> Order:
    draft = a_draft(quantity=quantity, image_digest=image_digest or next(_digests))
    return orders.place(store, replace(draft, channel=channel, priority=priority))


def image_of(store: Store, order: Order) -> Task:
    return store.tasks.of_order(order.id)[0]


def begun(store: Store, order: Order, creator: str = "creator-1") -> Task:
    task = image_of(store, order)
    return claim(store, task.id, task.attempt, worker=creator, role=Role.CREATOR).task


def build(store: Store, order: Order) -> None:
    task = begun(store, order)
    done = told(task, EventType.TASK_SUCCEEDED, body=image_built(task.image_digest))
    fold_event(store, done, sender="creator-1")


def fail(store: Store, order: Order) -> None:
    task = begun(store, order)
    failure = Failure("mirror-refused", "The mirror does not answer.")
    fold_event(store, told(task, EventType.TASK_FAILED, body=failure), sender="creator-1")


def write(store: Store, task: Task, *, seconds: dict[str, float] | None = None) -> None:
    held = claim(store, task.id, task.attempt, worker=task.worker or "", role=Role.WRITER).task
    outcome = replace(card_written(digest=task.image_digest), seconds=seconds or {"write": 1.0})
    done = told(held, EventType.TASK_SUCCEEDED, body=outcome)
    fold_event(store, done, sender=task.worker or "")


def at_work(store: Store, kind: TaskKind = TaskKind.CREATE) -> list[Task]:
    return store.tasks.in_states([TaskState.QUEUED, TaskState.STARTED], kind=kind)


def numbers(store: Store, kind: TaskKind = TaskKind.CREATE) -> list[int]:
    """The orders whose tasks are at the broker or at workers."""
    return sorted(task.order_number for task in at_work(store, kind))
