"""Orders: place, cancel, ship. What has failed or is stuck: :mod:`scheduler.shop.retrying`."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from cardshop.contract.errors import Conflict
from scheduler.domain.estimates import BASE_BYTES
from scheduler.domain.orders import Order, OrderDraft
from scheduler.domain.states import OrderState, TaskEvent, TaskState
from scheduler.domain.tasks import Change, Task, TaskKind, move
from scheduler.shop import notices
from scheduler.shop.dispatching import dispatch
from scheduler.shop.following import change, follow
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store


def place(store: Store, draft: OrderDraft, *, idempotency_key: str | None = None, asked: str = "") -> Order:
    """Stores an order with its tasks, all or nothing; they go to workers when their turn comes.

    The same ``idempotency_key`` of the same owner gives the order that it made the first time. When the
    image is kept already, nothing is built again.

    Args:
        store: the shop.
        draft: what is ordered.
        idempotency_key: of the asker's choice.
        asked: a fingerprint of what was asked for; another one with the same key is another order.

    Raises:
        Conflict: the key was used for another order.
    """
    number = store.orders.next_number()

    def work(session: Any) -> Order:
        if idempotency_key:
            earlier = placed_before(store, draft.owner, idempotency_key, asked, session)
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
            priority=draft.priority,
        )
        store.orders.insert(order, session, idempotency_key=idempotency_key, asked=asked)
        store.tasks.insert(_new_tasks(order), session)
        notices.order_placed(store, order, session)
        return order

    placed = store.transaction(work)
    dispatch(store)
    return store.orders.get(placed.id)


def placed_before(
    store: Store, owner: str, idempotency_key: str, asked: str, session: Any = None
) -> Order | None:
    """The order that ``owner`` placed with this key. Raises Conflict: something else was asked for."""
    found = store.orders.by_idempotency_key(owner, idempotency_key, session)
    if found is None:
        return None
    order, asked_then = found
    if asked_then != asked:
        raise Conflict(
            f"Order {order.number} was placed with the same key, and it is another one.",
            hint="Look at that order; for one more, use a new key (in the manager: a new form).",
        )
    return order


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
        change(store, replace(order, cancel_requested_at=store.clock()), session)
        for task in store.tasks.of_order(order_id, session):
            before, after = store.tasks.apply(
                task.id,
                lambda seen: move(seen, TaskEvent.CANCEL, who=who, at=store.clock(), why=why),
                session,
            )
            if isinstance(after, Task) and before.state is not TaskState.PENDING:
                store.outbox.add([OutboxLine(LineKind.REVOKE, task.id)], session)
        return follow(store, order_id, session, who=who, why=why or "canceled on request")

    order = store.transaction(work)
    dispatch(store)
    return order


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
        change(store, replace(order, shipped_at=store.clock(), tracking=tracking), session)
        return follow(store, order_id, session, who=who, why=f"tracking {tracking}" if tracking else "")

    return store.transaction(work)


def _new_tasks(order: Order) -> list[Task]:
    draft = order.draft

    def new(kind: TaskKind, unit: int, ready_at: datetime | None) -> Task:
        return Task(
            id=str(uuid.uuid4()),
            order_id=order.id,
            kind=kind,
            unit=unit,
            state=TaskState.PENDING,
            image_digest=draft.image_digest,
            created_at=order.created_at,
            updated_at=order.created_at,
            order_number=order.number,
            channel=draft.channel or draft.owner,
            priority=order.priority,
            work_bytes=BASE_BYTES + sum(content.size_bytes for content in draft.resolved.contents),
            ready_at=ready_at,
        )

    cards = [new(TaskKind.WRITE, unit, None) for unit in range(1, draft.quantity + 1)]
    return [new(TaskKind.CREATE, 0, order.created_at), *cards]
