"""Consumes the events in batches, and acknowledges each batch after the database has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from kombu import Connection, Consumer
from kombu.message import Message
from kombu.mixins import ConsumerMixin

from cardshop import queues
from cardshop.contract.names import EVENT_QUEUE
from monitor.batch import Batch, Taken
from monitor.meter import Meter
from scheduler.shop import monitors
from scheduler.store.database import DatabaseError, is_away
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

BATCH_MESSAGES = 1000
"""Messages that are folded at once. Larger batches spare the database calls, and take longer to repeat."""

PREFETCH = 2 * BATCH_MESSAGES
"""Messages that are on their way to this monitor at once: the next batch travels while one is folded."""

GATHER_SECONDS = 0.1
"""A batch that isn't full is folded after this long."""

IDLE_SECONDS = 1.0
"""Longest wait for a first message; the connection's heartbeat is looked after between."""

DATABASE_PAUSE_SECONDS = 1.0
"""Time between two tries while the database doesn't answer."""


class Monitor(ConsumerMixin):  # type: ignore[misc]  # kombu has no types
    """Folds events until it is told to stop. Several at once, on one queue, are safe.

    Args:
        connection: an account with the role ``monitor``.
        store: where events are folded into.
        pause: waits some seconds, or less when the monitor is to stop; ``threading.Event.wait`` does.
    """

    def __init__(self, connection: Connection, store: Store, pause: Callable[[float], object]) -> None:
        self.connection = connection
        self._store = store
        self._pause = pause
        self._meter = Meter(store.clock)
        self._messages: list[Taken] = []  # not on their way into the database yet

    def get_consumers(self, consumer_class: Callable[..., Consumer], channel: Any) -> list[Consumer]:
        """The two queues. Bodies stay bytes: what is broken must not break the consumer."""
        self._messages = []  # those of a connection that was lost are delivered again
        channel.basic_qos(0, PREFETCH, False)
        return [
            consumer_class([queue], on_message=self._taker(queue.name))
            for queue in (queues.EVENT_QUEUE, queues.DEAD_LETTER_QUEUE)
        ]

    def consume(self, *_args: Any, **_kwargs: Any) -> Iterator[None]:
        """Takes, folds and acknowledges one batch after the other; kombu calls it for each connection.

        While one batch is on its way into the database, the next one is taken from the queue.
        """
        with self.consumer_context() as (connection, channel, _consumers), ThreadPoolExecutor(1) as thread:
            folding: Future[bool] | None = None
            batch = Batch(self._store)
            while not self.should_stop:
                # What is folded is acknowledged soon, also when nothing comes after it.
                self._gather(connection, GATHER_SECONDS if folding else IDLE_SECONDS)
                if folding and folding.result():
                    self._acknowledge(channel, batch)
                folding = None
                if self._messages:
                    batch, self._messages = Batch(self._store, self._messages), []
                    folding = thread.submit(self._keep, batch)
                if self._meter.due():
                    self._tell_how_it_goes(channel)
                yield
            if folding and folding.result():
                self._acknowledge(channel, batch)
        with suppress(DatabaseError):  # its silence tells it too, later
            self._store.monitors.remove(self._meter.name)

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Says that RabbitMQ is away; kombu tries again after ``interval`` seconds."""
        log.warning("RabbitMQ does not answer", error=type(exc).__name__, again_in_seconds=interval)

    def on_connection_revived(self) -> None:
        """Says that it is back."""
        log.info("connected to RabbitMQ")

    def _taker(self, queue: str) -> Callable[[Message], None]:
        return lambda message: self._messages.append(Taken(message, queue))

    def _gather(self, connection: Connection, longest: float) -> None:
        """Takes messages until the batch is full or its time is over; waits ``longest`` for a first one."""
        end = 0.0
        while len(self._messages) < BATCH_MESSAGES and not self.should_stop:
            if self._messages and not end:
                end = time.monotonic() + GATHER_SECONDS
            wait = max(0.001, end - time.monotonic()) if end else longest
            try:
                connection.drain_events(timeout=wait)
            except TimeoutError:
                connection.heartbeat_check()
                return
            if end and time.monotonic() > end:
                return

    def _tell_how_it_goes(self, channel: Any) -> None:
        waiting = channel.queue_declare(EVENT_QUEUE, passive=True).message_count
        try:
            if self._meter.has_folded:
                self._store.health.did("event-folded")
            monitors.note(self._store, self._meter.read(waiting))
        except DatabaseError as error:
            log.warning("the database does not answer", error=type(error).__name__)

    def _keep(self, batch: Batch) -> bool:
        """Puts the batch into the database, as often as that needs; False when told to stop before."""
        batch.read()
        while not self.should_stop:
            try:
                batch.keep()
            except Exception as error:
                if not is_away(error):
                    raise
                log.warning("the database does not answer", error=type(error).__name__)
                self._pause(DATABASE_PAUSE_SECONDS)
            else:
                return True
        return False

    def _acknowledge(self, channel: Any, batch: Batch) -> None:
        channel.basic_ack(batch.last_tag, multiple=True)
        self._meter.folded(batch.times())
        log.debug("batch folded", messages=len(batch))
