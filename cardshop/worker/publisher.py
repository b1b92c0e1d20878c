"""Sends events in order, each one confirmed; while RabbitMQ is away they wait here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from kombu import Connection, Producer

from cardshop.contract import names

CONFIRM_SECONDS = 10.0
"""Longest wait for the broker's confirm before the event is sent again on a new connection."""

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
"""Pauses between tries double from the one to the other."""

MOST_WAITING = 2000
"""Events that are kept while RabbitMQ is away; the oldest that may be lost make room."""

log = structlog.get_logger(__name__)


@dataclass
class _Waiting:
    body: Mapping[str, Any]
    may_be_lost: bool
    overtaken_by_next: bool
    confirmed: threading.Event = field(default_factory=threading.Event)


class EventPublisher:
    """One thread with one connection. An event whose confirm was lost is sent twice; folding is idempotent.

    Args:
        connect: makes a connection, not open yet, that waits for confirms.
        username: the broker's account; RabbitMQ refuses an event that names another.
    """

    def __init__(self, connect: Callable[[], Connection], username: str) -> None:
        self._connect = connect
        self._username = username
        self._events: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begins to send; not before a fork, threads don't survive one."""
        self._thread.start()

    def send(
        self, event: Mapping[str, Any], *, may_be_lost: bool = False, overtaken_by_next: bool = False
    ) -> threading.Event:
        """Puts an event in line; the answer is set when the broker has confirmed it.

        Args:
            event: as Celery makes them; its ``type`` becomes the routing key.
            may_be_lost: it may make room for others when too many wait.
            overtaken_by_next: a following event that is overtaken too replaces it while it waits (progress).
        """
        waiting = _Waiting(event, may_be_lost, overtaken_by_next)
        with self._changed:
            last = self._events[-1] if self._events else None
            if last and last.overtaken_by_next and overtaken_by_next:
                self._events.pop()
            elif len(self._events) >= MOST_WAITING:
                self._make_room()
            self._events.append(waiting)
            self._changed.notify()
        return waiting.confirmed

    def close(self, seconds: float = CONFIRM_SECONDS) -> None:
        """Sends what waits, for so long, and ends."""
        with self._changed:
            last = self._events[-1].confirmed if self._events else None
        if last:
            last.wait(seconds)
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(CONFIRM_SECONDS)

    def _make_room(self) -> None:
        for waiting in self._events:
            if waiting.may_be_lost:
                self._events.remove(waiting)
                return

    def _run(self) -> None:
        while waiting := self._next():
            self._deliver(waiting)
        self._disconnect()

    def _next(self) -> _Waiting | None:
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed.is_set())
            return self._events.popleft() if self._events and not self._closed.is_set() else None

    def _deliver(self, waiting: _Waiting) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                self._publish(waiting.body)
            except Exception as error:  # noqa: BLE001 - whatever it was, the event must be tried again
                log.warning("event can't be sent now", type=waiting.body["type"], error=repr(error))
                self._disconnect()
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                waiting.confirmed.set()
                return

    def _publish(self, event: Mapping[str, Any]) -> None:
        if self._producer is None:
            self._connection = self._connect()
            self._producer = self._connection.Producer(auto_declare=False)
        # Mandatory: an outcome that no queue takes must not be called delivered.
        self._producer.publish(
            event,
            exchange=names.EVENT_EXCHANGE,
            routing_key=str(event["type"]).replace("-", "."),
            serializer="json",
            delivery_mode="persistent",
            user_id=self._username,
            mandatory=True,
            confirm_timeout=CONFIRM_SECONDS,
        )

    def _disconnect(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is None:
            return
        try:
            connection.collect()
        except Exception as error:  # noqa: BLE001 - a broken connection may fail to close in any way
            log.debug("connection not closed", error=repr(error))
