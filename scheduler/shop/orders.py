"""Orders: place, cancel, retry, ship; and what follows when one of their tasks has changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cardshop.contract import names
from cardshop.contract.errors import Conflict
from scheduler.domain import orders as rules
from scheduler.domain.dispatching import assign
from scheduler.domain.orders import Order, OrderDraft
from scheduler.domain.states import OrderState, Refused, TaskEvent, TaskState
from scheduler.domain.tasks import Change, Task, TaskKind, move
from scheduler.shop.writers import loads
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store


def place(store: Store, draft: OrderDraft, *, idempotency_key: str | None = None) -> Order:
    """Stores an order, its tasks and the message for the creators, all or nothing.

    The same ``idempotency_key`` of the same owner gives the order that it made the first time. When the
    image is kept already, nothing is built again.
    """
    number = store.orders.next_number()

    def work(session: Any) -> Order:
        if idempotency_key:
            earlier = store.orders.by_idempotency_key(draft.owner, idempotency_key, session)
            if earlier:
                return earlier
        now = store.clock()
        order = Order(
            id=str(uuid.uuid4()),
            number=number,
            draft=draft,
            state=OrderState.ACCEPTED,
            created_at=now,
            updated_at=now,
            history=(Change(now, draft.owner, "place", "", OrderState.ACCEPTED, ""),),
        )
        image, cards = _new_tasks(order)
        kept = store.images.kept(draft.image_digest, session)
        if kept:
            why = "the image is kept from an earlier order"
            line = Change(now, "scheduler", TaskEvent.SUCCEED, image.state, TaskState.SUCCEEDED, why)
            image = replace(image, state=TaskState.SUCCEEDED, outcome=kept, history=(*image.history, line))
        store.orders.insert(order, session, idempotency_key=idempotency_key)
        store.tasks.insert([image, *cards], session)
        if not kept:
            store.outbox.add([_task_line(order, image)], session)
        return follow(store, order.id, session, who=draft.owner)

    return store.transaction(work)


def cancel(store: Store, order_id: str, *, who: str, why: str = "") -> Order:
    """Cancels an order that isn't shipped; asking twice is the same as asking once.

    Raises:
        Conflict: it is shipped.
        NotFound: there is no such order.
    """

    def work(session: Any) -> Order:
        order = store.orders.get(order_id, session)
        if order.state is OrderState.SHIPPED:
            raise Conflict("The order is shipped: it can't be canceled.")
        if order.cancel_requested_at:
            return order
        _change(store, replace(order, cancel_requested_at=store.clock()), session)
        for task in store.tasks.of_order(order_id, session):
            before, after = store.tasks.apply(
                task.id,
                lambda seen: move(seen, TaskEvent.CANCEL, who=who, at=store.clock(), why=why),
                session,
            )
            if isinstance(after, Task) and before.state is not TaskState.PENDING:
                store.outbox.add([OutboxLine(LineKind.REVOKE, task.id)], session)
        return follow(store, order_id, session, who=who, why=why or "canceled on request")

    return store.transaction(work)


def retry(store: Store, order_id: str, *, who: str) -> Order:
    """Gives each failed task of a failed order a new attempt; what is good is kept.

    Raises:
        Conflict: nothing of it has failed, or it is canceled.
        NotFound: there is no such order.
    """

    def work(session: Any) -> Order:
        order = store.orders.get(order_id, session)
        if order.cancel_requested_at:
            raise Conflict("The order is canceled.", hint="Order it again.")
        tried = False
        for task in store.tasks.of_order(order_id, session):
            _, after = store.tasks.apply(
                task.id, lambda seen: move(seen, TaskEvent.RETRY, who=who, at=store.clock()), session
            )
            if isinstance(after, Task):
                tried = True
                store.outbox.add([_task_line(order, after)], session)
        if not tried:
            raise Conflict("Nothing of this order has failed.")
        return follow(store, order_id, session, who=who, why="tried again")

    return store.transaction(work)


def ship(store: Store, order_id: str, *, who: str, tracking: str) -> Order:
    """The cards are on their way.

    Raises:
        Conflict: not all cards are written and verified.
        NotFound: there is no such order.
    """

    def work(session: Any) -> Order:
        order = store.orders.get(order_id, session)
        if order.state is OrderState.SHIPPED:
            return order
        if order.state is not OrderState.WRITTEN:
            raise Conflict(f"The order is {order.state}: only a written order can be shipped.")
        _change(store, replace(order, shipped_at=store.clock(), tracking=tracking), session)
        return follow(store, order_id, session, who=who, why=f"tracking {tracking}" if tracking else "")

    return store.transaction(work)


def follow(store: Store, order_id: str, session: Any, *, who: str, why: str = "") -> Order:
    """What follows from the order's tasks as they are now: cards are given to writers, its state is kept."""
    order = store.orders.get(order_id, session)
    tasks = store.tasks.of_order(order_id, session)
    image = tasks[0]
    if image.state is TaskState.SUCCEEDED and not order.cancel_requested_at:
        _give_to_writers(store, order, [task for task in tasks if task.state is TaskState.PENDING], session)
        tasks = store.tasks.of_order(order_id, session)
    state = rules.derived_state(order, tasks)
    failure = rules.failure_of(tasks) if state is OrderState.FAILED else None
    if state is order.state and failure == order.failure:
        return order
    now = store.clock()
    line = Change(now, who, "follow", order.state, state, why)
    return _change(
        store,
        replace(order, state=state, failure=failure, updated_at=now, history=(*order.history, line)),
        session,
    )


def _new_tasks(order: Order) -> tuple[Task, list[Task]]:
    def new(kind: TaskKind, unit: int, state: TaskState) -> Task:
        return Task(
            id=str(uuid.uuid4()),
            order_id=order.id,
            kind=kind,
            unit=unit,
            state=state,
            image_digest=order.draft.image_digest,
            created_at=order.created_at,
            updated_at=order.created_at,
        )

    cards = [new(TaskKind.WRITE, unit, TaskState.PENDING) for unit in range(1, order.draft.quantity + 1)]
    return new(TaskKind.CREATE, 0, TaskState.QUEUED), cards


def _give_to_writers(store: Store, order: Order, tasks: Sequence[Task], session: Any) -> None:
    for task_id, writer in assign([task.id for task in tasks], loads(store, session)).items():
        _, after = store.tasks.apply(task_id, _released_to(store, writer), session)
        if isinstance(after, Task):
            store.outbox.add([_task_line(order, after)], session)


def _released_to(store: Store, writer: str) -> Any:
    def decide(task: Task) -> Task | Refused:
        moved = move(task, TaskEvent.RELEASE, who="scheduler", at=store.clock(), why=f"for {writer}")
        return replace(moved, worker=writer) if isinstance(moved, Task) else moved

    return decide


def _task_line(order: Order, task: Task) -> OutboxLine:
    if task.kind is TaskKind.CREATE:
        message = rules.create_message(order, task).to_wire()
        return OutboxLine(LineKind.TASK, task.id, names.CREATE_QUEUE, names.CREATE_TASK, message)
    message = rules.write_message(order, task).to_wire()
    queue = names.write_queue(task.worker or "")
    return OutboxLine(LineKind.TASK, task.id, queue, names.WRITE_TASK, message)


def _change(store: Store, order: Order, session: Any) -> Order:
    return store.orders.change(order.id, lambda seen: replace(order, revision=seen.revision + 1), session)
