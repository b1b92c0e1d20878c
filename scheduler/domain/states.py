"""The states of tasks and orders, and the one table of allowed moves, as data.

:func:`transition` is pure. Events are of three kinds: *intents* (the API: release, cancel, retry, claim),
*facts* (what workers did, told by the monitor) and *time's verdicts* (beat: expire). Cancel is sticky: a task
that is stopping ends as canceled whatever its worker reports, and a final state is left by a retry only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is."""

    PENDING = "pending"  # waits for the image
    QUEUED = "queued"  # its message is in the outbox or in a queue
    RECEIVED = "received"  # a worker has its message
    STARTED = "started"  # a worker has claimed it and works
    WAITING_FOR_CARD = "waiting-for-card"  # a writer waits for a card in its slot
    STOPPING = "stopping"  # cancel was asked, its worker hasn't confirmed yet
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed-out"  # its worker was silent for too long


class TaskEvent(StrEnum):
    """What can happen to a task."""

    RELEASE = "release"
    CLAIM = "claim"
    CANCEL = "cancel"
    RETRY = "retry"
    RECEIVE = "receive"
    START = "start"
    PROGRESS = "progress"
    WAIT = "wait"
    SUCCEED = "succeed"
    FAIL = "fail"
    STOPPED = "stopped"
    EXPIRE = "expire"


class OrderState(StrEnum):
    """Where an order is; derived from its tasks, never set by hand."""

    ACCEPTED = "accepted"
    BUILDING = "building"
    BUILT = "built"
    WRITING = "writing"
    WRITTEN = "written"
    SHIPPED = "shipped"
    CANCELED = "canceled"
    FAILED = "failed"


FINAL_TASK_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED, TaskState.TIMED_OUT}
)

_AT_A_WORKER = (TaskState.QUEUED, TaskState.RECEIVED, TaskState.STARTED, TaskState.WAITING_FOR_CARD)

TASK_TABLE: dict[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.PENDING, TaskEvent.RELEASE): TaskState.QUEUED,
    # Nobody works on it before it is claimed, and a claim of a canceled task is refused.
    (TaskState.PENDING, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.QUEUED, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.RECEIVED, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.STARTED, TaskEvent.CANCEL): TaskState.STOPPING,
    (TaskState.WAITING_FOR_CARD, TaskEvent.CANCEL): TaskState.STOPPING,
    (TaskState.FAILED, TaskEvent.RETRY): TaskState.QUEUED,
    (TaskState.TIMED_OUT, TaskEvent.RETRY): TaskState.QUEUED,
    **{(state, TaskEvent.CLAIM): TaskState.STARTED for state in _AT_A_WORKER},
    (TaskState.QUEUED, TaskEvent.RECEIVE): TaskState.RECEIVED,
    (TaskState.QUEUED, TaskEvent.START): TaskState.STARTED,
    (TaskState.RECEIVED, TaskEvent.START): TaskState.STARTED,
    **{(state, TaskEvent.PROGRESS): TaskState.STARTED for state in _AT_A_WORKER},
    **{(state, TaskEvent.WAIT): TaskState.WAITING_FOR_CARD for state in _AT_A_WORKER},
    **{(state, TaskEvent.SUCCEED): TaskState.SUCCEEDED for state in _AT_A_WORKER},
    **{(state, TaskEvent.FAIL): TaskState.FAILED for state in _AT_A_WORKER},
    (TaskState.STARTED, TaskEvent.EXPIRE): TaskState.TIMED_OUT,
    (TaskState.STOPPING, TaskEvent.SUCCEED): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.FAIL): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.STOPPED): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.EXPIRE): TaskState.CANCELED,
}
"""(state, event) -> next state; a pair that is not here is refused."""


@dataclass(frozen=True)
class Refused:
    """A move that the table doesn't have. For a late or repeated report that is the normal answer."""

    state: TaskState
    event: TaskEvent

    @property
    def why(self) -> str:
        """A sentence for logs and for the API's answer."""
        return f"A task that is {self.state} does not take {self.event}."


def transition(state: TaskState, event: TaskEvent) -> TaskState | Refused:
    """The state after ``event``."""
    return TASK_TABLE.get((state, event), Refused(state, event))
