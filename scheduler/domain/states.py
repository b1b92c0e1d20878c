"""The states of tasks, attempts, orders, images and slots: one table of allowed moves for each, as data.

:func:`transition` is pure. Events are of three kinds: *intents* (the API: cancel, retry, claim; the queue:
release, reuse), *facts* (what workers did, told by the monitor) and *time's verdicts* (beat: expire). Cancel
is sticky: a task that is stopping ends as canceled whatever its worker reports, and only a retry leaves a
final state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)
Happening = TypeVar("Happening", bound=StrEnum)


class TaskState(StrEnum):
    """Where a task is."""

    PENDING = "pending"  # waits for its turn; a write task for its image before
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

    RELEASE = "release"  # its turn has come
    REUSE = "reuse"  # its image is there: an earlier order built it
    REBUILD = "rebuild"  # the image that it made is in the warehouse no more, and is needed
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
    EXPIRE = "expire"  # it, or its worker, was silent for too long
    REQUEUE = "requeue"  # a person takes it from where it is


class AttemptState(StrEnum):
    """Where one attempt of a task is."""

    OPEN = "open"  # no worker has claimed it
    WORKING = "working"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed-out"
    TAKEN_AWAY = "taken-away"  # a person had the task put in a queue anew


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    BEGIN = "begin"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    TAKE_AWAY = "take-away"


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


class OrderEvent(StrEnum):
    """What can happen to an order. All but cancel and ship are read off its tasks."""

    BUILD = "build"  # a creator has its image
    HAVE_IMAGE = "have-image"
    WRITE = "write"  # a writer has one of its cards
    VERIFY = "verify"  # the last card is good
    FAIL = "fail"
    CANCEL = "cancel"
    SHIP = "ship"


class ImageState(StrEnum):
    """Where an image is."""

    KEPT = "kept"  # in the warehouse, whole
    DELETING = "deleting"  # past its retention; nobody may rely on it any more
    DELETED = "deleted"


class ImageEvent(StrEnum):
    """What can happen to an image."""

    KEEP = "keep"  # a creator brought it
    DELETE = "delete"
    DELETED = "deleted"  # the warehouse has it no more
    LOSE = "lose"  # the warehouse hasn't it, though it should


class SlotState(StrEnum):
    """Where a slot is."""

    EMPTY = "empty"
    LOADED = "loaded"  # a card is in it
    SILENT = "silent"  # its writer lives and tells nothing of it: a reader or hub hangs


class SlotEvent(StrEnum):
    """What can happen to a slot."""

    CARD_IN = "card-in"
    CARD_OUT = "card-out"
    SILENCE = "silence"


FINAL_TASK_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED, TaskState.TIMED_OUT}
)

_AT_A_WORKER = (TaskState.QUEUED, TaskState.RECEIVED, TaskState.STARTED, TaskState.WAITING_FOR_CARD)

TASK_TABLE: dict[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.PENDING, TaskEvent.RELEASE): TaskState.QUEUED,
    (TaskState.PENDING, TaskEvent.REUSE): TaskState.SUCCEEDED,
    # Nobody works on it before it is claimed, and a claim of a canceled task is refused.
    (TaskState.PENDING, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.QUEUED, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.RECEIVED, TaskEvent.CANCEL): TaskState.CANCELED,
    (TaskState.STARTED, TaskEvent.CANCEL): TaskState.STOPPING,
    (TaskState.WAITING_FOR_CARD, TaskEvent.CANCEL): TaskState.STOPPING,
    (TaskState.SUCCEEDED, TaskEvent.REBUILD): TaskState.PENDING,  # of an image only
    (TaskState.FAILED, TaskEvent.RETRY): TaskState.PENDING,
    (TaskState.TIMED_OUT, TaskEvent.RETRY): TaskState.PENDING,
    **{(state, TaskEvent.CLAIM): TaskState.STARTED for state in _AT_A_WORKER},
    (TaskState.QUEUED, TaskEvent.RECEIVE): TaskState.RECEIVED,
    (TaskState.QUEUED, TaskEvent.START): TaskState.STARTED,
    (TaskState.RECEIVED, TaskEvent.START): TaskState.STARTED,
    **{(state, TaskEvent.PROGRESS): TaskState.STARTED for state in _AT_A_WORKER},
    **{(state, TaskEvent.WAIT): TaskState.WAITING_FOR_CARD for state in _AT_A_WORKER},
    **{(state, TaskEvent.SUCCEED): TaskState.SUCCEEDED for state in _AT_A_WORKER},
    **{(state, TaskEvent.FAIL): TaskState.FAILED for state in _AT_A_WORKER},
    **{(state, TaskEvent.EXPIRE): TaskState.TIMED_OUT for state in _AT_A_WORKER},
    # A worker may end it unasked, too: it took a stop for this task that was meant for an earlier attempt.
    (TaskState.STARTED, TaskEvent.STOPPED): TaskState.TIMED_OUT,
    (TaskState.WAITING_FOR_CARD, TaskEvent.STOPPED): TaskState.TIMED_OUT,
    **{(state, TaskEvent.REQUEUE): TaskState.PENDING for state in _AT_A_WORKER},
    (TaskState.STOPPING, TaskEvent.SUCCEED): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.FAIL): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.STOPPED): TaskState.CANCELED,
    (TaskState.STOPPING, TaskEvent.EXPIRE): TaskState.CANCELED,
}
"""(state, event) -> next state; a pair that is not here is refused."""


ATTEMPT_TABLE: dict[tuple[AttemptState, AttemptEvent], AttemptState] = {
    **{
        (state, event): after
        for state in (AttemptState.OPEN, AttemptState.WORKING)
        for event, after in (
            (AttemptEvent.BEGIN, AttemptState.WORKING),
            (AttemptEvent.SUCCEED, AttemptState.SUCCEEDED),
            (AttemptEvent.FAIL, AttemptState.FAILED),
            (AttemptEvent.CANCEL, AttemptState.CANCELED),
            (AttemptEvent.EXPIRE, AttemptState.TIMED_OUT),
            (AttemptEvent.TAKE_AWAY, AttemptState.TAKEN_AWAY),
        )
    },
}
"""An attempt that has ended stays as it ended: a retry is another one."""

_BEFORE_SHIPMENT = frozenset(OrderState) - {OrderState.SHIPPED, OrderState.CANCELED}

ORDER_TABLE: dict[tuple[OrderState, OrderEvent], OrderState] = {
    # Events that came late are folded together: a step may be left out, none is gone back.
    **{
        (state, OrderEvent.BUILD): OrderState.BUILDING
        for state in (OrderState.ACCEPTED, OrderState.BUILDING, OrderState.FAILED)
    },
    **{
        (state, OrderEvent.HAVE_IMAGE): OrderState.BUILT
        for state in (OrderState.ACCEPTED, OrderState.BUILDING, OrderState.BUILT, OrderState.FAILED)
    },
    **{(state, OrderEvent.WRITE): OrderState.WRITING for state in _BEFORE_SHIPMENT - {OrderState.WRITTEN}},
    **{(state, OrderEvent.VERIFY): OrderState.WRITTEN for state in _BEFORE_SHIPMENT},
    **{(state, OrderEvent.FAIL): OrderState.FAILED for state in _BEFORE_SHIPMENT - {OrderState.WRITTEN}},
    **{(state, OrderEvent.CANCEL): OrderState.CANCELED for state in _BEFORE_SHIPMENT},
    (OrderState.WRITTEN, OrderEvent.SHIP): OrderState.SHIPPED,
}

IMAGE_TABLE: dict[tuple[ImageState, ImageEvent], ImageState] = {
    (ImageState.KEPT, ImageEvent.KEEP): ImageState.KEPT,
    (ImageState.KEPT, ImageEvent.DELETE): ImageState.DELETING,
    (ImageState.KEPT, ImageEvent.LOSE): ImageState.DELETED,
    (ImageState.DELETING, ImageEvent.DELETED): ImageState.DELETED,
    # Ordered again after that, it is built again.
    (ImageState.DELETED, ImageEvent.KEEP): ImageState.KEPT,
    (ImageState.DELETING, ImageEvent.KEEP): ImageState.KEPT,
}
"""An image is known from its first keep on."""

SLOT_TABLE: dict[tuple[SlotState, SlotEvent], SlotState] = {
    **{(state, SlotEvent.CARD_IN): SlotState.LOADED for state in SlotState},
    **{(state, SlotEvent.CARD_OUT): SlotState.EMPTY for state in SlotState},
    (SlotState.EMPTY, SlotEvent.SILENCE): SlotState.SILENT,
    (SlotState.LOADED, SlotEvent.SILENCE): SlotState.SILENT,
}
"""What a writer tells of a slot is always true of the moment that it names; the latest moment counts."""


@dataclass(frozen=True)
class Refused:
    """A move that the table doesn't have. For a late or repeated report that is the normal answer."""

    state: StrEnum
    event: StrEnum

    @property
    def why(self) -> str:
        """A sentence for logs and for the API's answer."""
        return f"What is {self.state} does not take {self.event}."


def after(table: Mapping[tuple[State, Happening], State], state: State, event: Happening) -> State | Refused:
    """The state after ``event``, by one of the tables above."""
    return table.get((state, event), Refused(state, event))


def transition(state: TaskState, event: TaskEvent) -> TaskState | Refused:
    """A task's state after ``event``."""
    return after(TASK_TABLE, state, event)
