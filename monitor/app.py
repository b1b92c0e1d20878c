"""Consumes the events, and acknowledges each one after the database has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from kombu import Connection, Consumer
from kombu.message import Message
from kombu.mixins import ConsumerMixin

from cardshop import queues
from cardshop.contract.errors import MessageRejected, NotFound
from cardshop.contract.events import Event
from cardshop.contract.names import DEAD_LETTER_QUEUE, EVENT_QUEUE
from scheduler.shop.tasks import fold_event
from scheduler.store.database import DatabaseError
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

PREFETCH = 200
"""Messages that are on their way to this monitor at once."""

DATABASE_PAUSE_SECONDS = 1.0
"""Time between two tries while the database doesn't answer."""


class Monitor(ConsumerMixin):  # type: ignore[misc]  # kombu has no types
    """Folds events until it is told to stop.

    Args:
        connection: an account with the role ``monitor``.
        store: where events are folded into.
        pause: waits some seconds, or less when the monitor is to stop; ``threading.Event.wait`` does.
    """

    def __init__(self, connection: Connection, store: Store, pause: Callable[[float], object]) -> None:
        self.connection = connection
        self._store = store
        self._pause = pause

    def get_consumers(self, consumer_class: Callable[..., Consumer], channel: Any) -> list[Consumer]:
        """The two queues. Bodies stay bytes: what is broken must not break the consumer."""
        channel.basic_qos(0, PREFETCH, False)
        return [
            consumer_class([queues.EVENT_QUEUE], on_message=self._on_event),
            consumer_class([queues.DEAD_LETTER_QUEUE], on_message=self._on_dead_letter),
        ]

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Says that RabbitMQ is away; kombu tries again after ``interval`` seconds."""
        log.warning("RabbitMQ does not answer", error=type(exc).__name__, again_in_seconds=interval)

    def on_connection_revived(self) -> None:
        """Says that it is back."""
        log.info("connected to RabbitMQ")

    def _on_event(self, message: Message) -> None:
        sender = str(message.properties.get("user_id") or "")
        self._keep(message, lambda: self._fold(message, sender))

    def _on_dead_letter(self, message: Message) -> None:
        why = "The task's message was delivered too often: it ended its worker each time."
        self._keep(message, lambda: self._bury(message, DEAD_LETTER_QUEUE, "", why))

    def _keep(self, message: Message, work: Callable[[], None]) -> None:
        """Does ``work`` as often as the database needs, then acknowledges."""
        while not self.should_stop:
            try:
                work()
            except DatabaseError as error:
                log.warning("the database does not answer", error=type(error).__name__)
                self._pause(DATABASE_PAUSE_SECONDS)
            else:
                message.ack()
                return

    def _fold(self, message: Message, sender: str) -> None:
        try:
            if not sender:
                raise MessageRejected("The message doesn't say who sent it.", field="user_id")
            for data in _events(message):
                event = Event.from_wire(data)
                if event is not None:
                    fold_event(self._store, event, sender=sender)
                    log.debug("event folded", type=event.type, task=event.task_id, sender=sender)
        except (MessageRejected, NotFound) as error:
            self._bury(message, EVENT_QUEUE, sender, error.sentence)
        self._store.health.did("event-folded")

    def _bury(self, message: Message, source: str, sender: str, why: str) -> None:
        log.warning("dead letter", source=source, sender=sender, why=why)
        body = _bytes(message).decode(errors="replace")
        self._store.dead_letters.add(source=source, sender=sender, why=why, body=body)


def _events(message: Message) -> list[Mapping[str, Any]]:
    """The events of a message: Celery sends one, or a list of them."""
    try:
        content = json.loads(_bytes(message))
    except ValueError:
        raise MessageRejected("The message is no JSON.") from None
    events = content if isinstance(content, list) else [content]
    if not all(isinstance(event, dict) for event in events):
        raise MessageRejected("The message is no event.")
    return events


def _bytes(message: Message) -> bytes:
    body = message.body
    return body if isinstance(body, bytes) else str(body).encode()
