"""One task in the child process: claim it, do it, tell the outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from celery.exceptions import Reject
from kombu import Connection

from cardshop.contract.errors import (
    CardshopError,
    MessageRejected,
    NotAllowed,
    NotFound,
    TaskCanceled,
    WorkerDrained,
)
from cardshop.contract.events import Failure, Outcome
from cardshop.contract.tasks import Claim, CreateTask, WriteTask
from cardshop.scheduler_client import SchedulerClient
from cardshop.worker.job import Job
from cardshop.worker.publisher import EventPublisher
from cardshop.worker.reporter import Announcer, Reporter
from cardshop.worker.settings import WorkerSettings
from cardshop.worker.stopping import Stopped, StopSwitch

SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
"""Pauses between two requests for a claim double from the one to the other."""

REVOKED_SECONDS = 5.0
"""Wait for the confirm that a canceled task was ended; without it the scheduler's time limit says so."""

DRAINED_SECONDS = 15.0
"""Pause before a drained worker gives a message back: the word to take no more is on its way to it.
Given back too often, the message would be a dead letter."""

log = structlog.get_logger(__name__)


class Child:
    """What a child process holds; made before the fork, started after it.

    Args:
        settings: of the worker.
        job: what it does.
        hostname: Celery's node name.
        connect: makes a confirmed connection to RabbitMQ.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        job: Job[Any],
        hostname: str,
        connect: Callable[[], Connection],
    ) -> None:
        self._job = job
        self._switch = StopSwitch()
        self._publisher = EventPublisher(connect, settings.username)
        self._announcer = Announcer(self._publisher, hostname)
        self._scheduler = SchedulerClient(
            settings.scheduler_url, settings.ca_file, settings.username, settings.password
        )

    def start(self) -> None:
        """To be called once in the child, in its main thread."""
        self._switch.install()
        self._publisher.start()

    def run(self, message: Mapping[str, Any]) -> None:
        """Does the task of ``message``; when it returns, the message may be acknowledged.

        Raises:
            Reject: the message goes to the dead letters, or back to the queue for another worker.
        """
        task = self._read(message)
        with structlog.contextvars.bound_contextvars(task=task.task_id, order=task.order_id):
            try:
                with self._switch.armed():
                    self._run(task)
            except Stopped:
                log.info("given back")
                raise Reject("the worker ends", requeue=True) from None

    def _run(self, task: CreateTask | WriteTask) -> None:
        reporter = self._reporter(task, 0)
        try:
            claim = self._claim(task)
            reporter = self._reporter(task, claim.claim)
            reporter.started()
            begun = time.monotonic()
            outcome = self._outcome(task, claim, reporter)
            reporter.ended(outcome, time.monotonic() - begun).wait()
            log.info("ended", outcome=type(outcome).__name__)
        except TaskCanceled as error:
            log.info("not to be done", why=error.sentence)
            reporter.revoked().wait(REVOKED_SECONDS)
        except Stopped as stopped:
            if not stopped.canceled:
                raise
            log.info("canceled")
            reporter.revoked().wait(REVOKED_SECONDS)

    def _read(self, message: Mapping[str, Any]) -> CreateTask | WriteTask:
        try:
            task: CreateTask | WriteTask = self._job.read(message)
        except MessageRejected as error:
            log.warning("message can't be understood", why=error.sentence)
            raise Reject(error.sentence, requeue=False) from None
        return task

    def _claim(self, task: CreateTask | WriteTask) -> Claim:
        pause = SHORTEST_PAUSE_SECONDS
        never = threading.Event()
        while True:
            try:
                answer = self._scheduler.post(f"/v1/tasks/{task.task_id}/claims", {"attempt": task.attempt})
                return Claim.from_wire(answer)
            except TaskCanceled:
                raise
            except WorkerDrained as error:
                log.info("left to another", why=error.sentence)
                never.wait(DRAINED_SECONDS)
                raise Reject(error.sentence, requeue=True) from None
            except (NotFound, NotAllowed) as error:
                raise Reject(error.sentence, requeue=False) from None
            except CardshopError as error:
                log.warning("can't claim the task now", why=error.sentence, again_in_seconds=pause)
                never.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _outcome(self, task: CreateTask | WriteTask, claim: Claim, reporter: Reporter) -> Outcome:
        log.info("begun", attempt=claim.attempt, claim=claim.claim)
        try:
            outcome: Outcome = self._job.work(task, claim, reporter)
        except TaskCanceled:
            raise
        except CardshopError as error:
            log.warning("failed", code=error.code, why=error.sentence, hint=error.hint)
            return Failure(**error.to_wire())
        except Exception as error:
            log.exception("failed by a fault of the program")
            return Failure(
                CardshopError.code,
                "The worker's program has a fault.",
                hint=f"See the worker's log ({type(error).__name__}).",
            )
        return outcome

    def _reporter(self, task: CreateTask | WriteTask, claim: int) -> Reporter:
        return Reporter(
            self._announcer, self._switch, task_id=task.task_id, attempt=task.attempt, claim=claim
        )
