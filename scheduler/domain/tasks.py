"""Tasks: one image to build or one card to write, and how events change them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cardshop.contract import wire
from cardshop.contract.events import (
    Body,
    CardWritten,
    Event,
    EventType,
    Failure,
    ImageBuilt,
    Progress,
    Waiting,
)
from scheduler.domain.dispatching import Priority
from scheduler.domain.states import (
    ATTEMPT_TABLE,
    FINAL_TASK_STATES,
    AttemptEvent,
    AttemptState,
    Refused,
    TaskEvent,
    TaskState,
    after,
    transition,
)


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
class Attempt:
    """One attempt of a task."""

    number: int  # from 1
    state: AttemptState
    made_at: datetime
    begun_at: datetime | None = None  # a worker claimed it
    ended_at: datetime | None = None
    worker: str | None = None  # the last that had it
    why: str = ""  # how it ended, unless well


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
    attempts: tuple[Attempt, ...] = ()  # empty until something happens to it
    tries: int = 0  # attempts that the shop made by itself since a person asked
    order_number: int = 0  # its order's; with the next ones, its place among the waiting
    channel: str = ""  # whose share of the workers it takes
    priority: Priority = Priority.NORMAL
    held: bool = False  # does not go to a worker
    work_bytes: int = 0  # about what it moves, by which its time is estimated
    ready_at: datetime | None = None  # since when it may go to a worker; None: its image isn't built yet

    @property
    def begun(self) -> bool:
        """Whether a worker ever had it."""
        return any(attempt.begun_at for attempt in self.attempts)

    @property
    def begun_now(self) -> bool:
        """Whether a worker had it in this attempt."""
        return bool(self.attempts) and self.attempts[-1].begun_at is not None

    def was_with(self, worker: str) -> bool:
        """Whether the worker has it, or had it in an earlier attempt."""
        return self.worker == worker or any(attempt.worker == worker for attempt in self.attempts)

    @property
    def begun_at(self) -> datetime | None:
        """When a worker began its attempt."""
        return self.attempts[-1].begun_at if self.attempts else None

    @property
    def final(self) -> bool:
        """Whether only a retry can move it."""
        return self.state in FINAL_TASK_STATES


@dataclass(frozen=True)
class Ignored:
    """An event that changes nothing: repeated, late, or of a claim that was lost."""

    why: str


@dataclass(frozen=True)
class Overtaken(Ignored):
    """An event of a worker that works on what it has no more: it changes nothing, its sender is to stop."""


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

_WORKING = frozenset({TaskEvent.START, TaskEvent.PROGRESS, TaskEvent.WAIT})

_ATTEMPT_EVENTS: dict[TaskState, AttemptEvent] = {
    TaskState.STARTED: AttemptEvent.BEGIN,
    TaskState.WAITING_FOR_CARD: AttemptEvent.BEGIN,
    TaskState.SUCCEEDED: AttemptEvent.SUCCEED,
    TaskState.FAILED: AttemptEvent.FAIL,
    TaskState.CANCELED: AttemptEvent.CANCEL,
    TaskState.TIMED_OUT: AttemptEvent.EXPIRE,
}
"""What a task's new state says of its attempt."""

_BEFORE_A_CLAIM = frozenset({EventType.TASK_RECEIVED, EventType.TASK_STARTED, EventType.TASK_REVOKED})


def move(task: Task, event: TaskEvent, *, who: str, at: datetime, why: str = "") -> Task | Refused:
    """The task after an intent or a verdict; what a new attempt or claim resets is reset."""
    state = transition(task.state, event)
    if isinstance(state, Refused):
        return state
    if event is TaskEvent.REBUILD and task.kind is not TaskKind.CREATE:
        return Refused(task.state, event)  # a good card stays good
    moved = _moved(task, event, state, who=who, at=at, why=why)
    if event is TaskEvent.REBUILD:
        return replace(_in_new_attempt(moved, at), outcome=None)
    if event in (TaskEvent.RETRY, TaskEvent.REQUEUE):
        return _in_new_attempt(moved, at)
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
    fact = _FACTS.get(event.type)
    doubt = _doubt(task, event, sender)
    if doubt:
        works = isinstance(doubt, Overtaken) and fact in _WORKING and event.claim > 0
        return doubt if works or not isinstance(doubt, Overtaken) else Ignored(doubt.why)
    if (
        event.ordinal <= task.folded and fact is not TaskEvent.STOPPED
    ):  # told by the parent, which counts apart
        return Ignored("repeated or overtaken by a later event")
    if fact is None or (fact is TaskEvent.SUCCEED and event.body is None):
        return Ignored("tells nothing about the state")
    if fact is TaskEvent.SUCCEED and not _is_of(task, event.body):
        return Distrusted("it tells of something else than what the task makes")
    if fact is TaskEvent.STOPPED and event.claim == 0 and task.state is not TaskState.STOPPING:
        return Ignored("a message was of no use; nothing was begun")
    state = transition(task.state, fact)
    if isinstance(state, Refused):
        ended = task.final or task.state is TaskState.STOPPING
        works = fact in _WORKING and event.claim > 0
        return Overtaken(state.why) if ended and works else Ignored(state.why)
    moved = _moved(task, fact, state, who=sender, at=at, why=_why(event))
    return replace(moved, **_told(event, at), folded=max(event.ordinal, task.folded))


def _doubt(task: Task, event: Event, sender: str) -> Ignored | Distrusted | None:
    if event.attempt > task.attempt or (event.attempt == task.attempt and event.claim > task.claim):
        return Distrusted("it tells of an attempt or a claim that was never given")
    if event.attempt < task.attempt:
        return Overtaken("it tells of an earlier attempt")
    if event.claim == 0 and event.type in _BEFORE_A_CLAIM:
        # A redelivered message reaches its next worker before that one claims the task.
        return None if task.worker in (None, sender) else Ignored("the task is another worker's")
    if event.claim == 0 and task.claim == 0 and event.type in _FACTS:
        return Distrusted("it tells of work on a task that nobody has claimed")
    if event.claim < task.claim:
        why = "it tells of an earlier claim"
        return Ignored(why) if task.worker == sender else Overtaken(why)
    if task.worker not in (None, sender):
        return Distrusted("the task is another worker's")
    return None


def _is_of(task: Task, outcome: Body) -> bool:
    """Whether what was made is what the task is for, so that no other image's card counts as its own."""
    kind = ImageBuilt if task.kind is TaskKind.CREATE else CardWritten
    return isinstance(outcome, kind) and outcome.image_digest == task.image_digest


def _moved(task: Task, event: TaskEvent, state: TaskState, *, who: str, at: datetime, why: str) -> Task:
    history = task.history
    if state is not task.state:
        history = (*history, Change(at, who, event, task.state, state, why))
    worker = who if event is TaskEvent.CLAIM else task.worker
    happened = AttemptEvent.TAKE_AWAY if event is TaskEvent.REQUEUE else _ATTEMPT_EVENTS.get(state)
    return replace(
        task,
        state=state,
        updated_at=at,
        revision=task.revision + 1,
        history=history,
        attempts=_attempts_after(task, happened, worker=worker, at=at, why=why),
    )


def _attempts_after(
    task: Task, event: AttemptEvent | None, *, worker: str | None, at: datetime, why: str
) -> tuple[Attempt, ...]:
    *earlier, last = task.attempts or (Attempt(task.attempt, AttemptState.OPEN, task.created_at),)
    state = last.state if event is None else after(ATTEMPT_TABLE, last.state, event)
    if isinstance(state, Refused) or (state is last.state and worker == last.worker):
        return task.attempts
    if state is AttemptState.WORKING:
        return (*earlier, replace(last, state=state, begun_at=last.begun_at or at, worker=worker))
    worked = state in (AttemptState.SUCCEEDED, AttemptState.FAILED)
    begun_at = last.begun_at or (at if worked else None)
    return (*earlier, replace(last, state=state, begun_at=begun_at, ended_at=at, worker=worker, why=why))


def _in_new_attempt(task: Task, at: datetime) -> Task:
    number = task.attempt + 1
    return replace(
        task,
        attempt=number,
        claim=0,
        worker=None,
        error=None,
        progress=None,
        waiting_for=None,
        attempts=(*task.attempts, Attempt(number, AttemptState.OPEN, at)),
        tries=0,
    )


def _told(event: Event, at: datetime) -> dict[str, Any]:
    """The fields of a task that an event's body fills."""
    match event.body:
        case Progress():
            return {"progress": {**wire.to_wire(event.body), "at": at}, "waiting_for": None}
        case Waiting():
            return {"waiting_for": wire.to_wire(event.body)}
        case ImageBuilt() | CardWritten():
            return {"outcome": wire.to_wire(event.body), "waiting_for": None}
        case Failure():
            return {"error": wire.to_wire(event.body), "waiting_for": None}
        case _ if event.type is EventType.TASK_FAILED:
            lost = Failure("worker-error", "The worker's program ended with an error.", hint=event.detail)
            return {"error": wire.to_wire(lost)}
        case _:
            return {}


def _why(event: Event) -> str:
    match event.body:
        case Failure(sentence=sentence):
            return sentence
        case Waiting(why=why):
            return why
        case _:
            return ""
