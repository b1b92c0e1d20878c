"""The worker as a program: a Celery app for one queue, one child, and what happens at SIGTERM."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import structlog
from celery import Celery, signals
from kombu import Connection, Exchange, Queue

from cardshop import broker
from cardshop.contract import names
from cardshop.control import Control
from cardshop.worker.celery_parts import ClaimedTask, Consumer, Events
from cardshop.worker.child import Child
from cardshop.worker.job import Job, Watch
from cardshop.worker.publisher import EventPublisher
from cardshop.worker.reporter import Announcer
from cardshop.worker.settings import WorkerSettings
from cardshop.worker.stopping import GIVE_BACK_SIGNAL

HEARTBEAT_EVENT_SECONDS = 5.0
"""How often the worker tells that it is alive."""

log = structlog.get_logger(__name__)


def run_worker(settings: WorkerSettings, job: Job[Any], watch: Watch | None = None) -> int:
    """Runs until SIGTERM; work in hand goes back to the queue then, and is gone on with elsewhere.

    Args:
        settings: account and addresses.
        job: what it does.
        watch: watches the slots, for a writer.

    Returns:
        The exit status.
    """
    hostname = f"{settings.username}@{socket.gethostname()}"

    def connect() -> Connection:
        return broker.connection(
            settings.broker_host,
            settings.broker_port,
            settings.username,
            settings.password,
            settings.ca_file,
        )

    child = Child(settings, job, hostname, connect)
    app = _celery_app(settings, job, child)

    def keep_our_logs(**_: Any) -> None:
        """A receiver keeps Celery from setting up its own."""

    def start_child(**_: Any) -> None:
        child.start()

    def give_back(**_: Any) -> None:
        log.info("stopping; work in hand goes back to the queue")
        for pid in worker.pool.info.get("processes", ()):
            os.kill(pid, GIVE_BACK_SIGNAL)

    signals.setup_logging.connect(keep_our_logs, weak=False)
    signals.worker_process_init.connect(start_child, weak=False)
    signals.worker_shutting_down.connect(give_back, weak=False)
    worker = app.Worker(
        hostname=hostname,
        pool_cls="prefork",
        concurrency=1,  # one task at a time; a child of its own, so that it can be stopped
        loglevel=settings.log_level.upper(),
        heartbeat_interval=HEARTBEAT_EVENT_SECONDS,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    with _Watching(watch, lambda: EventPublisher(connect, settings.username), hostname):
        worker.start()
    return int(worker.exitcode or 0)


class _Watching:
    """The slots' thread and its line to the broker, while the worker runs."""

    def __init__(
        self, watch: Watch | None, make_publisher: Callable[[], EventPublisher], hostname: str
    ) -> None:
        self._watch = watch
        self._make_publisher = make_publisher
        self._hostname = hostname
        self._stop = threading.Event()
        self._publisher: EventPublisher | None = None

    def __enter__(self) -> None:
        if self._watch:
            # Threads start after the child was forked: a fork copies locks that they may hold.
            signals.worker_ready.connect(self._start, weak=False)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._publisher:
            self._publisher.close()

    def _start(self, **_: Any) -> None:
        if self._publisher or not self._watch:
            return
        self._publisher = self._make_publisher()
        self._publisher.start()
        slots = Announcer(self._publisher, self._hostname)
        threading.Thread(target=self._watch, args=(slots, self._stop), name="slots", daemon=True).start()


def _celery_app(settings: WorkerSettings, job: Job[Any], child: Child) -> Celery:
    app = Celery(
        settings.username,
        broker=(
            f"amqps://{quote(settings.username, safe='')}:{quote(settings.password, safe='')}"
            f"@{settings.broker_host}:{settings.broker_port}/{quote(names.VHOST, safe='')}"
        ),
        events=Events,
        control=Control,
        set_as_current=False,
    )
    app.conf.update(
        broker_use_ssl=broker.tls_options(settings.ca_file, settings.broker_host),
        broker_heartbeat=broker.HEARTBEAT_SECONDS,
        broker_connection_timeout=broker.CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever
        broker_channel_error_retry=True,  # a queue that beat hasn't declared yet; a scheduler that is away
        worker_cancel_long_running_tasks_on_connection_loss=False,  # its message finds it again
        worker_prefetch_multiplier=1,
        worker_consumer=Consumer,
        worker_send_task_events=True,
        worker_redirect_stdouts=False,
        task_queues=[
            Queue(
                job.queue,
                Exchange(names.TASK_EXCHANGE, no_declare=True),
                routing_key=job.queue,
                no_declare=True,
                # Tells Celery that this queue has no global prefetch count.
                queue_arguments={"x-queue-type": "quorum"},
            )
        ],
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        event_exchange=names.EVENT_EXCHANGE,
        enable_utc=True,
    )

    def work(message: dict[str, Any]) -> None:
        child.run(message)

    app.task(work, base=ClaimedTask, name=job.task)
    return app
