"""A batch of messages on its way into the database: what can be folded, and what is a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from kombu.message import Message

from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import read_events
from cardshop.contract.names import DEAD_LETTER_QUEUE, EVENT_QUEUE
from scheduler.shop import dead_letters
from scheduler.shop.folding import Told, fold_events
from scheduler.store.database import is_away
from scheduler.store.dead_letters import NewLetter
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

DELIVERED_TOO_OFTEN = "The task's message was delivered too often: it ended its worker each time."


@dataclass(frozen=True)
class Taken:
    """A message, and the queue that it was taken from."""

    message: Message
    queue: str


@dataclass(frozen=True)
class _Read:
    """One event of a message."""

    told: Told
    message: Message


class Batch:
    """Messages in their order; :meth:`keep` may be called again when the database was away."""

    def __init__(self, store: Store, taken: Sequence[Taken] = ()) -> None:
        self._store = store
        self._taken = taken
        self._events: list[_Read] = []
        self._broken: list[NewLetter] = []

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def last_tag(self) -> int:
        """The broker's number of the last message."""
        return int(self._taken[-1].message.delivery_tag)

    def read(self) -> None:
        """Reads the messages; those that can't be understood, and tasks that the broker gave up, are dead."""
        for taken in self._taken:
            if taken.queue == DEAD_LETTER_QUEUE:
                self._broken.append(_letter(taken.message, DEAD_LETTER_QUEUE, DELIVERED_TOO_OFTEN))
            else:
                self._read_events(taken.message)

    def times(self) -> list[float]:
        """When the events happened, by their workers' clocks; seconds since the epoch."""
        return [read.told.event.timestamp for read in self._events]

    def keep(self) -> None:
        """Folds the events and keeps the dead letters. Raises DatabaseError while MongoDB is away."""
        letters = [*self._broken, *self._folded(self._events)]
        for letter in letters:
            log.warning("dead letter", source=letter.source, sender=letter.sender, why=letter.why)
        dead_letters.keep(self._store, letters)

    def _read_events(self, message: Message) -> None:
        sender = _sender(message)
        try:
            if not sender:
                raise MessageRejected("The message doesn't say who sent it.", field="user_id")
            events = read_events(_bytes(message))
        except MessageRejected as error:
            self._broken.append(_letter(message, EVENT_QUEUE, error.sentence))
            return
        self._events += [_Read(Told(event, sender), message) for event in events]

    def _folded(self, events: Sequence[_Read]) -> list[NewLetter]:
        """Folds; gives those that must not be believed, or that the database refuses.

        One event that can't be kept must not hold up the others: it is looked for by halves.
        """
        try:
            refused = fold_events(self._store, [event.told for event in events])
        except Exception as error:
            if is_away(error):
                raise
            if len(events) == 1:
                log.exception("event can't be kept", type=events[0].told.event.type)
                return [_letter(events[0].message, EVENT_QUEUE, f"It can't be kept: {error!r}.")]
            middle = len(events) // 2
            return [*self._folded(events[:middle]), *self._folded(events[middle:])]
        return [
            _letter(events[place].message, EVENT_QUEUE, rejected.sentence)
            for place, rejected in refused.items()
        ]


def _letter(message: Message, source: str, why: str) -> NewLetter:
    return NewLetter(source, _sender(message), why, _bytes(message).decode(errors="replace"))


def _sender(message: Message) -> str:
    return str(message.properties.get("user_id") or "")


def _bytes(message: Message) -> bytes:
    body = message.body
    return body if isinstance(body, bytes) else str(body).encode()
