"""Upkeep: what the shop drops or closes by itself when it is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from scheduler.domain.states import OrderState
from scheduler.shop import orders
from scheduler.store.store import Store

_MAY_GO_STALE = (
    OrderState.ACCEPTED,
    OrderState.BUILDING,
    OrderState.BUILT,
    OrderState.WRITING,
    OrderState.FAILED,
)


def close_stale_orders(store: Store, days: int) -> int:
    """Cancels the orders in which nothing moved for ``days``; returns how many.

    A download that is built and cards that are written have come to their end: they stay.
    """
    moment = store.clock() - timedelta(days=days)
    closed = 0
    for order in store.orders.unchanged_since(moment, _MAY_GO_STALE):
        if order.state is OrderState.BUILT and order.draft.quantity == 0:
            continue
        # An order for many cards stays the same for long while its tasks go on.
        if any(task.updated_at >= moment for task in store.tasks.of_order(order.id)):
            continue
        orders.cancel(store, order.id, who="beat", why=f"nothing moved for {days} days")
        closed += 1
    return closed


@dataclass(frozen=True)
class Cleaned:
    """How many were dropped."""

    logs: int  # pieces of them
    messages: int  # sent ones
    pictures: int  # of branding, that no recipe and no order has


def clean_logs(store: Store, days: int) -> Cleaned:
    """Drops what is older than ``days``: logs, sent messages, and pictures that nothing has any more."""
    moment = store.clock() - timedelta(days=days)
    used = store.recipes.pictures() | store.orders.pictures()
    return Cleaned(
        logs=store.task_logs.drop_before(moment),
        messages=store.outbox.drop_sent_before(moment),
        pictures=store.pictures.drop_unused(used, moment),
    )
