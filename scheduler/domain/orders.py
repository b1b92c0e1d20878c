"""Orders: what was asked for, and the state that follows from the tasks. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cardshop.contract.tasks import CreateTask, WriteTask
from scheduler.domain.dispatching import Priority
from scheduler.domain.recipes import ResolvedRecipe
from scheduler.domain.states import (
    FINAL_TASK_STATES,
    ORDER_TABLE,
    OrderEvent,
    OrderState,
    Refused,
    TaskState,
    after,
)
from scheduler.domain.tasks import Change, Task, TaskKind

MOST_CARDS = 1000
"""Cards of one order."""


@dataclass(frozen=True)
class Recipient:
    """Who gets the cards."""

    name: str
    email: str = ""
    address: str = ""
    language: str = ""  # of mails to them (ISO 639); empty: the recipe's


@dataclass(frozen=True)
class OrderDraft:
    """A valid order before it is stored."""

    owner: str  # user name
    client: str  # organisation that it is for; may be empty
    recipient: Recipient
    quantity: int  # cards; 0: a download only
    recipe_id: str | None
    resolved: ResolvedRecipe  # secrets sealed
    image_digest: str
    channel: str = (
        ""  # whose share of the workers it takes, as dispatching.channel_of says; empty: the owner's
    )
    priority: Priority = Priority.NORMAL  # that it was placed with


@dataclass(frozen=True)
class Hold:
    """Why an order's tasks don't go to workers."""

    who: str
    at: datetime
    why: str


@dataclass(frozen=True)
class Order:
    """An order as the database keeps it."""

    id: str
    number: int  # short, for people
    draft: OrderDraft
    state: OrderState
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    cancel_requested_at: datetime | None = None
    shipped_at: datetime | None = None
    tracking: str = ""
    link_expired_at: datetime | None = None  # from then on its image can't be downloaded
    failure: Mapping[str, Any] | None = None  # error of the task that failed it
    history: tuple[Change, ...] = ()
    priority: Priority = Priority.NORMAL
    hold: Hold | None = None


_ACTIVE = frozenset(
    {TaskState.QUEUED, TaskState.RECEIVED, TaskState.STARTED, TaskState.WAITING_FOR_CARD, TaskState.STOPPING}
)
_BEGUN = _ACTIVE - {TaskState.QUEUED}
_BROKEN = frozenset({TaskState.FAILED, TaskState.TIMED_OUT})


_EVENTS: dict[OrderState, OrderEvent] = {
    OrderState.BUILDING: OrderEvent.BUILD,
    OrderState.BUILT: OrderEvent.HAVE_IMAGE,
    OrderState.WRITING: OrderEvent.WRITE,
    OrderState.WRITTEN: OrderEvent.VERIFY,
    OrderState.SHIPPED: OrderEvent.SHIP,
    OrderState.CANCELED: OrderEvent.CANCEL,
    OrderState.FAILED: OrderEvent.FAIL,
}


def derived_state(order: Order, tasks: Sequence[Task]) -> OrderState:
    """The order's state, from what was asked and from its tasks; never a step back."""
    shown = _shown_state(order, tasks)
    if shown is order.state or shown is OrderState.ACCEPTED:
        return order.state
    state = after(ORDER_TABLE, order.state, _EVENTS[shown])
    return order.state if isinstance(state, Refused) else state


def _shown_state(order: Order, tasks: Sequence[Task]) -> OrderState:
    if order.shipped_at:
        return OrderState.SHIPPED
    if order.cancel_requested_at:
        return OrderState.CANCELED
    image = next(task for task in tasks if task.kind is TaskKind.CREATE)
    if image.state in _BROKEN:
        return OrderState.FAILED
    if image.state is not TaskState.SUCCEEDED:
        begun = image.state in _BEGUN or image.begun
        return OrderState.BUILDING if begun else OrderState.ACCEPTED
    return _state_of_cards([task for task in tasks if task.kind is TaskKind.WRITE])


def failure_of(tasks: Sequence[Task]) -> Mapping[str, Any] | None:
    """The error of the first task that failed, for the order's page."""
    for task in tasks:
        if task.state in _BROKEN:
            return task.error or {
                "code": task.state.value,
                "sentence": "The worker was silent for too long.",
                "hint": "Retry it; see the workers' page.",
            }
    return None


def create_message(order: Order, task: Task) -> CreateTask:
    """The message for the creators."""
    resolved = order.draft.resolved
    return CreateTask(
        task_id=task.id,
        attempt=task.attempt,
        order_id=order.id,
        image_digest=task.image_digest,
        size_bytes=resolved.size_bytes,
        base=resolved.base,
        contents=resolved.contents,
    )


def write_message(order: Order, task: Task) -> WriteTask:
    """The message for the task's writer."""
    return WriteTask(
        task_id=task.id,
        attempt=task.attempt,
        order_id=order.id,
        unit=task.unit,
        units=order.draft.quantity,
        image_digest=task.image_digest,
        size_bytes=order.draft.resolved.size_bytes,
        medium=order.draft.resolved.medium,
    )


def _state_of_cards(cards: Sequence[Task]) -> OrderState:
    states = [card.state for card in cards]
    if not states:
        return OrderState.BUILT
    if all(state is TaskState.SUCCEEDED for state in states):
        return OrderState.WRITTEN
    if any(state in _BROKEN for state in states) and all(state in FINAL_TASK_STATES for state in states):
        return OrderState.FAILED
    begun = any(card.state in _BEGUN or card.begun for card in cards)
    return OrderState.WRITING if begun else OrderState.BUILT
