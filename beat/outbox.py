"""Sends the outbox: each line is published with a confirm and marked as sent after it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import structlog
from celery import Celery
from kombu import Connection, Producer

from beat import topology
from cardshop.contract import names
from scheduler.shop.writers import writer_names
from scheduler.store.database import DatabaseError
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
"""Time between two tries while RabbitMQ or the database doesn't answer."""

LISTEN_SECONDS = 0.01
"""Time for reading what came in; nothing is asked for, so nothing is waited for."""

CONFIRM_SECONDS = 10.0
"""Longest wait for the broker's confirm."""


class OutboxPublisher(threading.Thread):
    """A thread that publishes until ``stopped`` is set.

    Args:
        app: a Celery app that knows the broker.
        connect: makes a connection that isn't open yet.
        store: whose outbox.
        stopped: ends it.
    """

    def __init__(
        self, app: Celery, connect: Callable[[], Connection], store: Store, stopped: threading.Event
    ) -> None:
        super().__init__(name="outbox", daemon=True)
        self._app = app
        self._connect = connect
        self._store = store
        self._stopped = stopped
        self._id = uuid.uuid4().hex
        self._declared: set[str] | None = None

    def run(self) -> None:
        """Publishes, and begins anew after each failure: nothing is lost, a line is sent later."""
        while not self._stopped.is_set():
            try:
                with self._connect() as connection:
                    self._declared = None
                    self._publish_until_stopped(connection)
            except DatabaseError as error:
                log.warning("the database does not answer", error=type(error).__name__)
                self._stopped.wait(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever it was, an unsent line must be tried again
                log.warning("the outbox can't be sent now", error=repr(error))
                self._stopped.wait(PAUSE_SECONDS)

    def _publish_until_stopped(self, connection: Connection) -> None:
        producer = connection.Producer()
        while not self._stopped.is_set():
            self._declare_new_queues(connection)
            _listen(connection)
            while line := self._store.outbox.lease(self._id):
                try:
                    self._send(producer, connection, line)
                except BaseException:
                    self._store.outbox.give_back(line, self._id)
                    raise
                self._store.outbox.mark_sent(line, self._id)
                self._store.health.did("outbox-sent")
                log.info("sent", kind=line.kind, task=line.task_id, queue=line.queue)
            self._store.outbox.wait()

    def _declare_new_queues(self, connection: Connection) -> None:
        known = writer_names(self._store)
        if self._declared is None or known - self._declared:
            topology.declare(connection, sorted(known))
            self._declared = known

    def _send(self, producer: Producer, connection: Connection, line: OutboxLine) -> None:
        if line.kind is LineKind.REVOKE:
            self._app.control.revoke(line.task_id, terminate=True, signal="SIGTERM", connection=connection)
            return
        self._app.send_task(
            line.name,
            kwargs={"message": dict(line.message or {})},
            task_id=line.task_id,
            exchange=names.TASK_EXCHANGE,
            routing_key=line.queue,
            producer=producer,
            mandatory=True,
            declare=[],  # by topology, and not Celery's default queue
            retry=False,  # on a new connection the topology is declared first
            confirm_timeout=CONFIRM_SECONDS,
        )


def _listen(connection: Connection) -> None:
    """Takes in what the broker sent: that it lives, or that it closes the connection."""
    try:
        connection.drain_events(timeout=LISTEN_SECONDS)
    except TimeoutError:
        connection.heartbeat_check()
