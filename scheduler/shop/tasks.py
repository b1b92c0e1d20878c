"""Tasks: claimed by a worker. What it tells: :mod:`scheduler.shop.folding`; that it tells nothing:
:mod:`scheduler.shop.silence`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cardshop.contract.errors import NotAllowed, NotFound, TaskCanceled, Unavailable, WorkerDrained
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import Refused, TaskEvent, TaskState
from scheduler.domain.tasks import Task, TaskKind, move
from scheduler.shop.following import follow
from scheduler.store.store import Store

QUIET_BEFORE_TAKEOVER = timedelta(seconds=30)
"""A task that its worker told of within this time is not given to another that has the same message."""

WORKER_ROLES = {TaskKind.CREATE: Role.CREATOR, TaskKind.WRITE: Role.WRITER}
"""Who does which kind of task."""


@dataclass(frozen=True)
class Claimed:
    """A task that a worker has now, with its order."""

    task: Task
    order: Order


def claim(store: Store, task_id: str, attempt: int, *, worker: str, role: Role) -> Claimed:
    """Gives the task to ``worker``; events of an earlier claim are not believed from here on.

    Raises:
        NotFound, NotAllowed: there is no such task for this worker.
        TaskCanceled: it is canceled, done, or has a newer attempt: the message is of no use any more.
        Unavailable: another worker told of it a moment ago; ask again later.
        WorkerDrained: it is to begin nothing new.
    """
    drained = worker in store.drains.now()

    def decide(task: Task) -> Task | Refused:
        _check_claim(task, attempt, worker=worker, role=role, now=store.clock())
        if drained and task.worker != worker:
            raise WorkerDrained(f"{worker} is drained.", hint="It is resumed on the workers' page.")
        # Its own worker asks anew, so it works on it no more: that is the stop that was asked for.
        stopped = task.state is TaskState.STOPPING and task.worker == worker
        event = TaskEvent.STOPPED if stopped else TaskEvent.CLAIM
        return move(task, event, who=worker, at=store.clock())

    def work(session: Any) -> tuple[Task, Order]:
        before, after = store.tasks.apply(task_id, decide, session)
        task = after if isinstance(after, Task) else before
        return task, follow(store, task.order_id, session, who=worker)

    task, order = store.transaction(work)
    if task.state is not TaskState.STARTED or task.worker != worker:
        raise TaskCanceled(f"The task is {task.state}.")
    return Claimed(task, order)


def _check_claim(task: Task, attempt: int, *, worker: str, role: Role, now: datetime) -> None:
    if role is not WORKER_ROLES[task.kind]:
        raise NotAllowed(f"A {role} has no business with a task of the kind {task.kind}.")
    if attempt != task.attempt:
        # First: what was taken from a writer has another one now, and its message is of no use, not forged.
        raise TaskCanceled(f"The task is at attempt {task.attempt}.")
    if task.kind is TaskKind.WRITE and task.worker != worker:
        raise NotFound(f"There is no task {task.id} for {worker}.")
    held = task.claim > 0 and task.worker not in (None, worker)
    if held and not task.final and now - task.updated_at < QUIET_BEFORE_TAKEOVER:
        raise Unavailable(f"{task.worker} works on the task.", hint="It is free when that one is silent.")
