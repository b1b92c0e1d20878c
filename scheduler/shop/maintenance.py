"""Draining a worker for maintenance: it ends what it has begun and gets nothing new until it is resumed.

What it was given and has not begun goes back into the queue. A writer is simply not chosen any more. A
creator, whose queue is shared, is told by a line of the outbox not to take from it, again each time it comes
online, and its claims of what it hasn't begun are refused. Both are safe to ask twice; who asked, when and
why is kept.
"""

from __future__ import annotations

from typing import Any

from cardshop.contract.errors import NotFound
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskEvent, TaskState
from scheduler.domain.tasks import Task, move
from scheduler.shop.dispatching import dispatch
from scheduler.shop.following import follow
from scheduler.shop.retrying import tell_to_stop
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store

_NOT_BEGUN = (TaskState.QUEUED, TaskState.RECEIVED, TaskState.WAITING_FOR_CARD)
"""Nothing was written to a card yet; that one comes may take for ever."""


def drain(store: Store, worker: str, *, who: str, why: str = "") -> None:
    """The worker gets nothing new. Raises NotFound."""
    role = role_of(store, worker)

    def work(session: Any) -> bool:
        if not store.drains.begin(worker, who=who, why=why, session=session):
            return False
        store.rounds.exclude(session)
        if role is Role.WRITER:
            _take_back(store, worker, session, who=who)
        else:
            store.outbox.add([consuming_line(worker)], session)
        return True

    if store.transaction(work):
        dispatch(store)


def resume(store: Store, worker: str, *, who: str, why: str = "") -> None:
    """The worker takes work again. Raises NotFound."""
    role = role_of(store, worker)

    def work(session: Any) -> bool:
        if not store.drains.end(worker, who=who, why=why, session=session):
            return False
        if role is Role.CREATOR:
            store.outbox.add([consuming_line(worker)], session)
        return True

    if store.transaction(work):
        dispatch(store)


def role_of(store: Store, worker: str) -> Role:
    """Whether it is a creator or a writer. Raises NotFound."""
    account = store.users.find(worker)
    if account is None or account.role not in (Role.CREATOR, Role.WRITER):
        raise NotFound(f"There is no worker {worker}.")
    return account.role


def consuming_line(creator: str) -> OutboxLine:
    """Tells a creator whether to take tasks, by what is so when the line is sent."""
    return OutboxLine(LineKind.CONSUMING, f"creator {creator}", name=creator)


def _take_back(store: Store, writer: str, session: Any, *, who: str) -> None:
    why = f"{writer} is drained"
    for given in store.tasks.of_worker(writer, _NOT_BEGUN, session):
        _, task = store.tasks.apply(
            given.id, lambda seen: move(seen, TaskEvent.REQUEUE, who=who, at=store.clock(), why=why), session
        )
        if isinstance(task, Task):
            if given.claim:
                tell_to_stop(store, given, session)
            follow(store, task.order_id, session, who=who, why=why)
