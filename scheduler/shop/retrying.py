"""What a person asks for when an order has failed, or is stuck: another try. What is good is kept.

Each is safe to ask twice: what is on its way already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cardshop.contract.errors import Conflict
from scheduler.domain.orders import Order
from scheduler.domain.states import Refused, TaskEvent, TaskState
from scheduler.domain.tasks import Ignored, Task, move
from scheduler.shop.dispatching import dispatch
from scheduler.shop.following import follow
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store

JUST_BEGUN = timedelta(minutes=1)
"""An attempt that is not older is not taken away: that was a second click."""

Decide = Callable[[Task], Task | Refused | Ignored]


def retry(store: Store, order_id: str, *, who: str) -> Order:
    """Gives each task that has failed a new attempt, in its turn; one that would wait for that goes at once.

    Raises:
        Conflict: nothing of it has failed and nothing is tried again, or it is canceled.
        NotFound: there is no such order.
    """

    def decide(task: Task) -> Task | Refused | Ignored:
        now = store.clock()
        if task.state is TaskState.PENDING and task.attempt > 1:
            return _brought_forward(task, now)
        return move(task, TaskEvent.RETRY, who=who, at=now)

    return _try_again(store, order_id, decide, who=who, otherwise="Nothing of this order has failed.")


def requeue(store: Store, order_id: str, *, who: str, why: str = "") -> Order:
    """Takes each task that isn't done from its worker, and gives it a new attempt.

    For a worker that is stuck in a way that nobody else notices. It is told to stop; drain it first, where it
    shall not be the one that gets the task again.

    Raises:
        Conflict: nothing of it is left to do, or it is canceled.
        NotFound: there is no such order.
    """

    def decide(task: Task) -> Task | Refused | Ignored:
        now = store.clock()
        if task.state is TaskState.PENDING:
            return _brought_forward(task, now)
        if task.final:
            return move(task, TaskEvent.RETRY, who=who, at=now, why=why)
        if task.attempts and task.attempt > 1 and now - task.attempts[-1].made_at < JUST_BEGUN:
            return Ignored("it was put in the queue a moment ago")
        return move(task, TaskEvent.REQUEUE, who=who, at=now, why=why)

    return _try_again(store, order_id, decide, who=who, otherwise="Nothing of this order is left to do.")


def tell_to_stop(store: Store, task: Task, session: Any) -> None:
    """Asks the worker of an attempt that was taken from it to end it; ``task`` is as it was before."""
    for worker in store.workers.every(session):
        if worker.username == task.worker:
            line = OutboxLine(LineKind.STOP, task.id, node=worker.hostname, attempt=task.attempt)
            store.outbox.add([line], session)


def _brought_forward(task: Task, now: datetime) -> Task | Ignored:
    if task.ready_at is None or task.ready_at <= now:
        return Ignored("it waits for its turn")
    return replace(task, ready_at=now, updated_at=now, revision=task.revision + 1)


def _try_again(store: Store, order_id: str, decide: Decide, *, who: str, otherwise: str) -> Order:
    def work(session: Any) -> Order:
        order = store.orders.get(order_id, session)
        if order.cancel_requested_at:
            raise Conflict("The order is canceled.", hint="Order it again.")
        on_its_way = False
        for task in store.tasks.of_order(order_id, session):
            before, after = store.tasks.apply(task.id, decide, session)
            at_it = before.attempt > 1 and not before.final
            on_its_way |= at_it or not isinstance(after, Refused)
            if isinstance(after, Task) and before.claim and not before.final:
                tell_to_stop(store, before, session)
        if not on_its_way:
            raise Conflict(otherwise)
        return follow(store, order_id, session, who=who, why="tried again")

    order = store.transaction(work)
    dispatch(store)
    return order
