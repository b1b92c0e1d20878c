"""Sends the outbox: each line is published with a confirm and marked as sent after it."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import structlog
from celery import Celery
from kombu import Connection, Producer

from beat import topology
from beat.confirms import Pipeline
from cardshop.contract import names
from scheduler.domain.alarms import AlarmKind
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.shop.writers import writer_names
from scheduler.store.database import DatabaseError
from scheduler.store.outbox import LEASE, Changes, LineKind, OutboxLine
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
"""Pauses between tries while RabbitMQ or the database doesn't answer double from the one to the other."""

KEEP_SECONDS = 1.0
"""Time between two looks at the connection and at the writers that are new."""

LISTEN_SECONDS = 0.001
"""Time for reading what came in; nothing is asked for, so nothing is waited for."""

CONFIRM_SECONDS = 5.0
"""Longest wait for the broker's confirms."""

SEND_SECONDS = LEASE.total_seconds() / 3
"""A line that could not be handed to the broker for so long after it was leased is left for another time:
when its lease has run out, it may be on its way already, from somebody else."""


class OutboxPublisher(threading.Thread):
    """A thread that publishes until ``stopped`` is set; any number of them, anywhere, share the work.

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
        self._declared: set[str] = set()
        self._pause = SHORTEST_PAUSE_SECONDS

    def run(self) -> None:
        """Publishes, and begins anew after each failure: nothing is lost, a line is sent later."""
        while not self._stopped.is_set():
            try:
                with _unwaiting(self._connect()) as connection, self._store.outbox.changes() as changes:
                    self._publish_until_stopped(connection, changes)
            except DatabaseError as error:
                log.warning("the database does not answer", error=repr(error)[:300])
            except Exception as error:  # noqa: BLE001 - whatever it was, an unsent line must be tried again
                log.warning("the outbox can't be sent now", error=repr(error))
            # Not all publishers at the same moment.
            self._stopped.wait(self._pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _publish_until_stopped(self, connection: Connection, changes: Changes) -> None:
        self._declare(connection, writer_names(self._store))
        pipeline = Pipeline(connection)
        kept = time.monotonic()
        known: set[str] = set()
        while not self._stopped.is_set():
            while not self._stopped.is_set() and (lines := self._store.outbox.lease(self._id)):
                known.update(line.id for line in lines)
                self._send_all(pipeline, connection, lines)
                self._pause = SHORTEST_PAUSE_SECONDS
            if time.monotonic() - kept > KEEP_SECONDS:
                self._keep(connection)
                kept = time.monotonic()
            changes.wait(known)

    def _keep(self, connection: Connection) -> None:
        """Takes in what the broker sent (that it lives, or closes the connection); declares new queues."""
        try:
            connection.drain_events(timeout=LISTEN_SECONDS)
        except TimeoutError:
            connection.heartbeat_check()
        writers = writer_names(self._store)
        if writers - self._declared:
            self._declare(connection, writers)

    def _declare(self, connection: Connection, writers: set[str]) -> None:
        topology.declare(connection, sorted(writers))
        self._declared = writers

    def _send_all(self, pipeline: Pipeline, connection: Connection, lines: Sequence[OutboxLine]) -> None:
        pipeline.confirmed, pipeline.refused = set(), {}
        until = time.monotonic() + SEND_SECONDS
        try:
            for line in lines:
                if time.monotonic() > until:
                    break
                self._send(pipeline, connection, line)
            pipeline.wait(CONFIRM_SECONDS)
        finally:
            self._settle(lines, pipeline)
        if pipeline.refused:
            # A queue may have been deleted under us; the lines are tried again in a while.
            self._declare(connection, writer_names(self._store))

    def _settle(self, lines: Sequence[OutboxLine], pipeline: Pipeline) -> None:
        sent = [line for line in lines if line.id in pipeline.confirmed]
        unsure = [line for line in lines if line.id not in pipeline.confirmed | pipeline.refused.keys()]
        if sent:
            self._store.outbox.mark_sent(sent)
            self._store.health.did("outbox-sent")
        if unsure:
            self._store.outbox.give_back(unsure, self._id)
        for line in sent:
            log.info("sent", kind=line.kind, task=line.task_id, queue=line.queue)
            if line.tries > 1:
                end_alarm(self._store, kind=AlarmKind.MESSAGE_REFUSED, subject=line.task_id)
        for line in lines:
            if line.id in pipeline.refused:
                self._put_off(line, pipeline.refused[line.id])

    def _put_off(self, line: OutboxLine, problem: str) -> None:
        log.warning("refused", kind=line.kind, task=line.task_id, queue=line.queue, problem=problem)
        task = self._store.tasks.by_ids([line.task_id]).get(line.task_id)
        if task is None or task.final:
            self._store.outbox.drop(line, problem)
            end_alarm(self._store, kind=AlarmKind.MESSAGE_REFUSED, subject=line.task_id)
            return
        self._store.outbox.postpone(line, self._id, problem)
        if line.tries > 1:
            sentence = f"The message of task {line.task_id} can't be sent: {problem}."
            raise_alarm(self._store, kind=AlarmKind.MESSAGE_REFUSED, subject=line.task_id, sentence=sentence)

    def _send(self, pipeline: Pipeline, connection: Connection, line: OutboxLine) -> None:
        if line.kind is LineKind.REVOKE:
            # It goes another way: what it follows must have arrived.
            pipeline.wait(CONFIRM_SECONDS)
            self._app.control.revoke(line.task_id, terminate=True, signal="SIGTERM", connection=connection)
            pipeline.confirmed.add(line.id)
            return
        if line.kind is LineKind.STOP:
            arguments = {"task_id": line.task_id, "attempt": line.attempt}
            self._app.control.broadcast(
                names.STOP_COMMAND, arguments=arguments, destination=[line.node], connection=connection
            )
            pipeline.confirmed.add(line.id)
            return
        if line.kind is LineKind.CONSUMING:
            self._tell_creator(connection, line.name)
            pipeline.confirmed.add(line.id)
            return
        pipeline.publish(line.id, lambda producer: self._publish(producer, line))

    def _tell_creator(self, connection: Connection, creator: str) -> None:
        nodes = [worker.hostname for worker in self._store.workers.every() if worker.username == creator]
        if not nodes:  # to nobody would mean to all; it is told when it comes
            return
        tell = self._app.control.add_consumer
        if creator in self._store.drains.now():
            tell = self._app.control.cancel_consumer
        tell(names.CREATE_QUEUE, destination=nodes, connection=connection)

    def _publish(self, producer: Producer, line: OutboxLine) -> None:
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
            message_id=line.id,
        )


def _unwaiting(connection: Connection) -> Connection:
    """The same connection, but that doesn't wait for each confirm: the pipeline reads them."""
    return connection.clone(transport_options={**connection.transport_options, "confirm_publish": False})
