"""What workers tell: Celery's own events, and ours beside them on the same exchange.

Every event about a task carries, besides Celery's fields (``type``, ``uuid``, ``hostname``, ``timestamp``):
``version``, ``attempt`` (of the task), ``claim`` (0 before the task was claimed) and ``seq`` (from 1, counts
the events that this worker process sent under that claim). ``(attempt, claim, seq)`` orders the events of a
task whatever order they arrive in; an event is folded once.

Celery's ``task-succeeded`` and ``task-failed`` end a task only with an ``outcome``: the worker publishes that
one itself, confirmed, before its message is acknowledged. Celery's later copy has none and is only shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected
from cardshop.contract.names import SLOT_NAME

EVENT_VERSION = 1


class EventType(StrEnum):
    """Event types that the monitor folds; others of Celery's are counted and ignored."""

    TASK_RECEIVED = "task-received"
    TASK_STARTED = "task-started"
    TASK_SUCCEEDED = "task-succeeded"
    TASK_FAILED = "task-failed"
    TASK_REVOKED = "task-revoked"
    TASK_RETRIED = "task-retried"
    TASK_PROGRESS = "task-progress"
    TASK_LOG = "task-log"
    TASK_WAITING = "task-waiting-for-card"
    SLOT_CHANGED = "slot-changed"
    WORKER_ONLINE = "worker-online"
    WORKER_HEARTBEAT = "worker-heartbeat"
    WORKER_OFFLINE = "worker-offline"


class Phase(StrEnum):
    """What a task is doing; in the order in which a task goes through them."""

    CLAIM = "claim"
    FETCH = "fetch"
    BUILD = "build"
    CHECK = "check"
    BOOT = "boot"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    WAIT = "wait"
    WRITE = "write"
    READ_BACK = "read-back"


@dataclass(frozen=True)
class Progress:
    """How far a phase is. ``total`` is 0 while it is unknown."""

    phase: str
    done: int
    total: int
    unit: str  # "bytes" or "steps"


@dataclass(frozen=True)
class Log:
    """Lines for the person who follows the task."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """The card in a slot."""

    serial: str  # CID, USB serial, or the virtual card's name
    size_bytes: int


@dataclass(frozen=True)
class Waiting:
    """A write task waits until a card is in its slot; ``why`` says what the technician does."""

    slot: str
    why: str


@dataclass(frozen=True)
class SlotChanged:
    """A slot's card came, went or was exchanged. About the writer, not about a task."""

    slot: str
    card: Card | None


@dataclass(frozen=True)
class ImageBuilt:
    """Outcome of a create task: the image is in the warehouse under its final name."""

    image_digest: str
    size_bytes: int
    mapped_bytes: int
    manifest_sha256: str
    seconds: dict[str, float]  # by phase
    documents: tuple[str, ...] = ()  # names of what is beside it for people: list of contents, picture


@dataclass(frozen=True)
class Speed:
    """How fast a card was, in bytes a second, over parts of about 16 MiB."""

    median: int
    worst: int


@dataclass(frozen=True)
class CardWritten:
    """Outcome of a write task: every mapped byte was read back from the card and was right."""

    image_digest: str
    slot: str
    card: Card
    verified_bytes: int
    seconds: dict[str, float]  # by phase
    manifest_sha256: str = ""  # of the image's manifest, which lies on the card
    host: str = ""  # where the writer runs
    retries: int = 0  # requests that went through only in smaller pieces
    write_speed: Speed | None = None  # None: it was written before, its report was lost
    read_speed: Speed | None = None
    note: str = ""  # what people should know of a good card: it is much slower than its kind
    kept_bytes: int = 0  # of the mapped ones: they were on the card already, and were not written again


@dataclass(frozen=True)
class Failure:
    """Outcome of a failed task: the error as :meth:`CardshopError.to_wire` gives it."""

    code: str
    sentence: str
    hint: str = ""
    field: str = ""
    retryable: bool = False


Outcome = ImageBuilt | CardWritten | Failure
Body = Progress | Log | Waiting | SlotChanged | ImageBuilt | CardWritten | Failure | None

_BODIES: dict[EventType, type[Any]] = {
    EventType.TASK_PROGRESS: Progress,
    EventType.TASK_LOG: Log,
    EventType.TASK_WAITING: Waiting,
    EventType.SLOT_CHANGED: SlotChanged,
}


@dataclass(frozen=True)
class Event:
    """One event as the monitor folds it."""

    type: EventType
    hostname: str  # Celery's node name, "<name>@<host>"
    timestamp: float  # seconds since the epoch, by the worker's clock
    task_id: str | None  # None for events about the worker
    attempt: int
    claim: int
    seq: int
    body: Body  # None where the type alone says all
    detail: str = ""  # a sentence of Celery's own (the exception of a bare task-failed)

    @property
    def ordinal(self) -> tuple[int, int, int]:
        """Orders the events of one task."""
        return (self.attempt, self.claim, self.seq)

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self | None:
        """Reads an event; ``None`` for a type of Celery's that nobody folds (``task-sent``).

        Raises:
            MessageRejected: missing or wrong field, unknown version.
        """
        name = data.get("type")
        if not isinstance(name, str):
            raise MessageRejected("The event has no type.", field="type")
        try:
            event_type = EventType(name)
        except ValueError:
            if data.get("version") is None and name.startswith(("task-", "worker-")):
                return None
            raise MessageRejected(f"Unknown event type {name!r}.", field="type") from None
        if data.get("version") != EVENT_VERSION:
            raise MessageRejected(
                f"The event has version {data.get('version')!r}; this program reads version {EVENT_VERSION}.",
                hint="Update the monitor.",
                field="version",
            )
        head = wire.from_wire(_Head, data)
        task = wire.from_wire(_TaskHead, data) if name.startswith("task-") else None
        return cls(
            type=event_type,
            hostname=head.hostname,
            timestamp=head.timestamp,
            task_id=task.uuid if task else None,
            attempt=task.attempt if task else 0,
            claim=task.claim if task else 0,
            seq=task.seq if task else 0,
            body=_read_body(event_type, data),
            detail=str(data.get("exception", "")),
        )


def read_events(body: bytes | str) -> list[Event]:
    """The events of a message: Celery sends one, or a list of them; those that nobody folds are left out.

    Raises:
        MessageRejected: one of them can't be read.
    """
    try:
        content = wire.parse(body)
    except ValueError:
        raise MessageRejected("The message is no JSON.") from None
    events = content if isinstance(content, list) else [content]
    if not all(isinstance(event, dict) for event in events):
        raise MessageRejected("The message is no event.")
    return [event for event in map(Event.from_wire, events) if event is not None]


def body_to_wire(body: Progress | Log | Waiting | SlotChanged) -> dict[str, Any]:
    """The fields that an event of ours adds to Celery's."""
    fields: dict[str, Any] = wire.to_wire(body)
    return fields


def outcome_to_wire(outcome: Outcome) -> dict[str, Any]:
    """The value of the ``outcome`` field of the event that ends a task."""
    kinds = {ImageBuilt: "image-built", CardWritten: "card-written", Failure: "failure"}
    return {"kind": kinds[type(outcome)], **wire.to_wire(outcome)}


@dataclass(frozen=True)
class _Head:
    hostname: str
    timestamp: float


@dataclass(frozen=True)
class _TaskHead:
    uuid: str
    attempt: int
    claim: int
    seq: int


def _read_body(event_type: EventType, data: Mapping[str, Any]) -> Body:
    if event_type in _BODIES:
        body: Body = wire.from_wire(_BODIES[event_type], data)
        if isinstance(body, SlotChanged) and not SLOT_NAME.fullmatch(body.slot):
            raise MessageRejected("The slot has a name that no slot can have.", field="slot")
        return body
    outcome = data.get("outcome")
    if outcome is None or event_type not in (EventType.TASK_SUCCEEDED, EventType.TASK_FAILED):
        return None
    if not isinstance(outcome, Mapping):
        raise MessageRejected("The event's outcome must be an object.", field="outcome")
    readers: dict[str, type[Any]] = (
        {"failure": Failure}
        if event_type is EventType.TASK_FAILED
        else {"image-built": ImageBuilt, "card-written": CardWritten}
    )
    reader = readers.get(str(outcome.get("kind")))
    if reader is None:
        raise MessageRejected(f"Unknown outcome {outcome.get('kind')!r}.", field="outcome.kind")
    result: Body = wire.from_wire(reader, outcome, where="outcome")
    return result
