"""What follows for an order when one of its tasks has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cardshop.contract import names
from scheduler.domain import orders as rules
from scheduler.domain.orders import Order
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Change, Task, TaskKind
from scheduler.shop import notices
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store


def follow(store: Store, order_id: str, session: Any, *, who: str, why: str = "") -> Order:
    """What follows from the order's tasks as they are now: its cards join the queue, its state is kept.

    A task that has joined the queue goes to a worker in the next round of :mod:`scheduler.shop.dispatching`.
    """
    order = store.orders.get(order_id, session)
    tasks = store.tasks.of_order(order_id, session)
    if tasks[0].state is TaskState.SUCCEEDED and not order.cancel_requested_at:
        store.queue.make_ready(order_id, store.clock(), session)
    state = rules.derived_state(order, tasks)
    failure = rules.failure_of(tasks) if state is OrderState.FAILED else None
    if state is order.state and failure == order.failure:
        return order
    now = store.clock()
    line = Change(now, who, "follow", order.state, state, why)
    followed = change(
        store,
        replace(order, state=state, failure=failure, updated_at=now, history=(*order.history, line)),
        session,
    )
    if followed.state is not order.state:
        notices.order_moved(store, followed, session)
    return followed


def change(store: Store, order: Order, session: Any) -> Order:
    """Keeps the order as it is given."""
    return store.orders.change(order.id, lambda seen: replace(order, revision=seen.revision + 1), session)


def task_line(order: Order, task: Task) -> OutboxLine:
    """The message of a task for its worker."""
    if task.kind is TaskKind.CREATE:
        message = rules.create_message(order, task).to_wire()
        return OutboxLine(LineKind.TASK, task.id, names.CREATE_QUEUE, names.CREATE_TASK, message)
    message = rules.write_message(order, task).to_wire()
    queue = names.write_queue(task.worker or "")
    return OutboxLine(LineKind.TASK, task.id, queue, names.WRITE_TASK, message)
