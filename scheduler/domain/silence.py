"""Silence: how long worker, task and slot may tell nothing, and what follows for a task. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.states import SlotState, TaskState
from scheduler.domain.tasks import Task, TaskKind

HEARING = timedelta(seconds=15)
MOST_WAITING = 1000
"""The shop hears while a monitor told of itself within this time, and no more events than this wait for it.
Else it is deaf: silence proves nothing then, and begins to count anew when it hears again."""

MONITOR_SILENT = timedelta(minutes=1)
"""People are told of a shop that is deaf for this long."""


@dataclass(frozen=True)
class Limits:
    """The longest silence of each, until it is believed."""

    worker: timedelta = timedelta(seconds=60)  # its heartbeat comes every 5 seconds
    slot: timedelta = timedelta(minutes=2)  # its writer tells of it every 20 seconds
    task: timedelta = timedelta(minutes=15)  # progress is told as it happens


@dataclass(frozen=True)
class Presence:
    """The worker that has a task, as far as its silence goes."""

    username: str
    state: str  # "online", "offline" or "silent"
    heard_at: datetime
    slots: tuple[SlotState, ...] = ()


def why_timed_out(
    task: Task,
    worker: Presence | None,
    *,
    idle_since: datetime | None,
    heard_since: datetime,
    now: datetime,
    limits: Limits,
) -> str:
    """Why the task has timed out, for a person; empty when it hasn't.

    Args:
        task: in a state that a worker is to move.
        worker: that it is assigned to.
        idle_since: since when somebody that may take it, were it only delivered, has nothing to do; None
            while nobody is idle, or it was taken.
        heard_since: the shop was deaf before; nothing that is older counts as silence.
        now: by the shop's clock.
        limits: of silence.
    """
    told_nothing = now - max(task.updated_at, heard_since)
    if worker and worker.state != "online" and _holds_it(task):
        away = now - max(worker.heard_at, task.updated_at, heard_since)
        if away > limits.worker:
            return f"its worker {worker.username} is {worker.state}"
    if task.state is TaskState.QUEUED:
        # The broker may have lost its message, together with its disk.
        unmoved = now - max(task.updated_at, heard_since, idle_since or now)
        if unmoved > limits.task:
            return f"nobody got its message for {_minutes(unmoved)} minutes, and a worker is idle"
        return ""
    if told_nothing > limits.task:
        return f"nothing was heard of it for {_minutes(told_nothing)} minutes"
    slots = worker.slots if worker and task.state is TaskState.WAITING_FOR_CARD else ()
    if slots and all(slot is SlotState.SILENT for slot in slots):
        return f"the slot of its writer {task.worker} is silent"
    return ""


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f}"


def _holds_it(task: Task) -> bool:
    """Whether nobody else can go on with it: what a creator hasn't claimed is in a queue that all share."""
    return task.kind is TaskKind.WRITE or task.claim > 0
