"""What a person says about the queue: hold an order, release it, change its priority.

Each is safe to ask twice: what is so already is answered as it is, and nothing is kept a second time. Who
asked, when and why stands in the order's history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cardshop.contract.errors import Conflict
from scheduler.domain.dispatching import Priority
from scheduler.domain.orders import Hold, Order
from scheduler.domain.states import OrderState
from scheduler.domain.tasks import Change
from scheduler.shop.dispatching import dispatch
from scheduler.shop.following import change
from scheduler.store.store import Store

_AT_ITS_END = frozenset({OrderState.WRITTEN, OrderState.SHIPPED, OrderState.CANCELED})


def hold(store: Store, order_id: str, *, who: str, why: str = "") -> Order:
    """Nothing more of the order goes to workers until it is released; what they have goes on.

    Raises:
        Conflict: it is canceled, or all of it is done.
        NotFound: there is no such order.
    """

    def held(order: Order) -> Order:
        if order.hold:
            return order
        _check_not_at_its_end(order)
        return replace(order, hold=Hold(who, store.clock(), why))

    return _change(store, order_id, held, event="hold", who=who, why=why)


def release(store: Store, order_id: str, *, who: str, why: str = "") -> Order:
    """The order's tasks take their places in the queue again. Raises NotFound."""
    order = _change(
        store, order_id, lambda order: replace(order, hold=None), event="release", who=who, why=why
    )
    dispatch(store)
    return order


def set_priority(store: Store, order_id: str, priority: Priority, *, who: str, why: str = "") -> Order:
    """The order's tasks go before or after those of other priorities; what workers have goes on.

    Raises:
        Conflict: it is canceled, or all of it is done.
        NotFound: there is no such order.
    """

    def changed(order: Order) -> Order:
        if order.priority is not priority:
            _check_not_at_its_end(order)
        return replace(order, priority=priority)

    why = f"{priority.label}: {why}" if why else priority.label
    return _change(store, order_id, changed, event="priority", who=who, why=why)


def _check_not_at_its_end(order: Order) -> None:
    if order.state in _AT_ITS_END:
        raise Conflict(f"The order is {order.state}: nothing of it waits for a worker.")


def _change(
    store: Store, order_id: str, decide: Callable[[Order], Order], *, event: str, who: str, why: str
) -> Order:
    def work(session: Any) -> Order:
        order = store.orders.get(order_id, session)
        decided = decide(order)
        if decided == order:
            return order
        now = store.clock()
        line = Change(now, who, event, order.state, order.state, why)
        # Those that are at work too: one of them may be tried again.
        store.queue.mark(order_id, held=decided.hold is not None, priority=decided.priority, session=session)
        return change(store, replace(decided, updated_at=now, history=(*order.history, line)), session)

    return store.transaction(work)
