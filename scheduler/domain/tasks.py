"""Tasks: one image to build or one card to write, and how events change them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cardshop.contract import wire
from cardshop.contract.events import CardWritten, Event, EventType, Failure, ImageBuilt, Progress, Waiting
from scheduler.domain.states import FINAL_TASK_STATES, Refused, TaskEvent, TaskState, transition


class TaskKind(StrEnum):
    """What a task makes."""

    CREATE = "create"
    WRITE = "write"


@dataclass(frozen=True)
class Change:
    """One line of a history."""

    at: datetime
    who: str
    event: str
    from_state: str
    to_state: str
    why: str


@dataclass(frozen=True)
class Task:
    """A task as the database keeps it."""

    id: str  # also its Celery id
    order_id: str
    kind: TaskKind
    unit: int  # which card of the order, from 1; 0 for the image
    state: TaskState
    image_digest: str
    created_at: datetime
    updated_at: datetime
    attempt: int = 1
    claim: int = 0  # claims of this attempt
    folded: tuple[int, int, int] = (0, 0, 0)  # ordinal of the last event that was folded
    revision: int = 0  # of this record; each change adds one
    worker: str | None = None  # user name of the worker that it is assigned to
    progress: Mapping[str, Any] | None = None  # contract's Progress, and "at"
    waiting_for: Mapping[str, Any] | None = None  # contract's Waiting
    outcome: Mapping[str, Any] | None = None  # contract's ImageBuilt or CardWritten
    error: Mapping[str, Any] | None = None  # contract's Failure
    history: tuple[Change, ...] = ()

    @property
    def final(self) -> bool:
        """Whether only a retry can move it."""
        return self.state in FINAL_TASK_STATES


@dataclass(frozen=True)
class Ignored:
    """An event that changes nothing: repeated, late, or of a claim that was lost."""

    why: str


@dataclass(frozen=True)
class Distrusted:
    """An event that must not be believed: the task is not its sender's."""

    why: str


_FACTS: dict[EventType, TaskEvent] = {
    EventType.TASK_RECEIVED: TaskEvent.RECEIVE,
    EventType.TASK_STARTED: TaskEvent.START,
    EventType.TASK_PROGRESS: TaskEvent.PROGRESS,
    EventType.TASK_WAITING: TaskEvent.WAIT,
    EventType.TASK_SUCCEEDED: TaskEvent.SUCCEED,
    EventType.TASK_FAILED: TaskEvent.FAIL,
    EventType.TASK_REVOKED: TaskEvent.STOPPED,
}

_BEFORE_A_CLAIM = frozenset({EventType.TASK_RECEIVED, EventType.TASK_STARTED, EventType.TASK_REVOKED})


def move(task: Task, event: TaskEvent, *, who: str, at: datetime, why: str = "") -> Task | Refused:
    """The task after an intent or a verdict; what a new attempt or claim resets is reset."""
    state = transition(task.state, event)
    if isinstance(state, Refused):
        return state
    moved = _moved(task, event, state, who=who, at=at, why=why)
    if event is TaskEvent.RETRY:
        return replace(moved, attempt=task.attempt + 1, claim=0, error=None, progress=None, waiting_for=None)
    if event is TaskEvent.CLAIM:
        return replace(moved, worker=who, claim=task.claim + 1)
    return moved


def fold(task: Task, event: Event, *, sender: str, at: datetime) -> Task | Ignored | Distrusted:
    """The task after a worker's event.

    Args:
        task: as the database has it.
        event: about this task.
        sender: the broker's validated user.
        at: now, by the scheduler's clock.
    """
    doubt = _doubt(task, event, sender)
    if doubt:
        return doubt
    fact = _FACTS.get(event.type)
    if (
        event.ordinal <= task.folded and fact is not TaskEvent.STOPPED
    ):  # told by the parent, which counts apart
        return Ignored("repeated or overtaken by a later event")
    if fact is None or (fact is TaskEvent.SUCCEED and event.body is None):
        return Ignored("tells nothing about the state")
    state = transition(task.state, fact)
    if isinstance(state, Refused):
        return Ignored(state.why)
    moved = _moved(task, fact, state, who=sender, at=at, why=_why(event))
    return replace(_with_body(moved, event, at), folded=max(event.ordinal, task.folded))


def _doubt(task: Task, event: Event, sender: str) -> Ignored | Distrusted | None:
    if event.attempt > task.attempt or (event.attempt == task.attempt and event.claim > task.claim):
        return Distrusted("it tells of an attempt or a claim that was never given")
    if event.attempt < task.attempt:
        return Ignored("it tells of an earlier attempt")
    if event.claim == 0 and event.type in _BEFORE_A_CLAIM:
        # A redelivered message reaches its next worker before that one claims the task.
        return None if task.worker in (None, sender) else Ignored("the task is another worker's")
    if event.claim < task.claim:
        return Ignored("it tells of an earlier claim")
    if task.worker not in (None, sender):
        return Distrusted("the task is another worker's")
    return None


def _moved(task: Task, event: TaskEvent, state: TaskState, *, who: str, at: datetime, why: str) -> Task:
    history = task.history
    if state is not task.state:
        history = (*history, Change(at, who, event, task.state, state, why))
    return replace(task, state=state, updated_at=at, revision=task.revision + 1, history=history)


def _with_body(task: Task, event: Event, at: datetime) -> Task:
    match event.body:
        case Progress():
            return replace(task, progress={**wire.to_wire(event.body), "at": at}, waiting_for=None)
        case Waiting():
            return replace(task, waiting_for=wire.to_wire(event.body))
        case ImageBuilt() | CardWritten():
            return replace(task, outcome=wire.to_wire(event.body), waiting_for=None)
        case Failure():
            return replace(task, error=wire.to_wire(event.body), waiting_for=None)
        case _ if event.type is EventType.TASK_FAILED:
            lost = Failure("worker-error", "The worker's program ended with an error.", hint=event.detail)
            return replace(task, error=wire.to_wire(lost))
        case _:
            return task


def _why(event: Event) -> str:
    match event.body:
        case Failure(sentence=sentence):
            return sentence
        case Waiting(why=why):
            return why
        case _:
            return ""
