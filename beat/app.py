"""Celery's beat with the ``schedules`` collection for its entries; the jobs run here, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ClassVar

import structlog
from celery import Celery
from celery.beat import Scheduler
from kombu import Connection

from beat.jobs import Job, default_schedules
from cardshop.contract import names
from cardshop.contract.errors import CardshopError
from cardshop.control import Control
from scheduler.domain.schedules import JobKind, RunState, Schedule
from scheduler.shop import schedules as shop
from scheduler.store.database import DatabaseError
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

RELOAD_SECONDS = 5.0
"""Longest sleep of the clock; changed schedules are seen after it."""

SHORTEST_SLEEP_SECONDS = 0.05

AT_ONCE = 8
"""Runs at the same time: a slow catalogue must not keep silent tasks from being noticed."""


class ShopScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs due schedules through the shop; :func:`scheduler_class` makes it with its store.

    Celery's own tick keeps the entries in a heap that was made when they were read, and so sees an entry that
    somebody changed only when its old time comes. This one asks the database each time.
    """

    store: ClassVar[Store]
    jobs: ClassVar[Mapping[JobKind, Job]]
    max_interval = RELOAD_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._name = uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job")
        self._running: dict[Future[None], Schedule] = {}
        super().__init__(*args, **kwargs)

    @property
    def producer(self) -> None:
        """None: jobs run here, so the clock must not wait for RabbitMQ."""

    def setup_schedule(self) -> None:
        """Makes the built-in schedules the first time."""
        for schedule in default_schedules(self.store.clock()):
            self.store.schedules.ensure(schedule)

    def tick(self, *_: Any, **__: Any) -> float:
        """Begins what is due; returns the seconds until something may be due again."""
        try:
            self._keep_running()
            return self._begin_due()
        except DatabaseError as error:
            log.warning("the database does not answer", error=type(error).__name__)
            return 1.0

    def join_runs(self) -> None:
        """Returns when the runs that were begun have ended."""
        wait(self._running)

    def close(self) -> None:
        """Lets the runs end that were begun. One that takes too long is killed, and then begun anew."""
        self.join_runs()
        super().close()

    def _keep_running(self) -> None:
        for future in [future for future in self._running if future.done()]:
            del self._running[future]
        for schedule in self._running.values():
            shop.renew(self.store, schedule)

    def _begin_due(self) -> float:
        sleep = RELOAD_SECONDS
        for schedule in self.store.schedules.every():
            due = shop.due_at(schedule)
            wait = RELOAD_SECONDS if due is None else (due - self.store.clock()).total_seconds()
            if wait <= 0 and len(self._running) < AT_ONCE:
                taken = shop.begin(self.store, schedule.id, beat=self._name)
                if taken is not None:
                    self._running[self._pool.submit(self._run, taken)] = taken
            sleep = min(sleep, wait)
        return max(sleep, SHORTEST_SLEEP_SECONDS)

    def _run(self, schedule: Schedule) -> None:
        state, again = RunState.FAILED, True
        try:
            result = self.jobs[schedule.work.kind](schedule)
            state, again = RunState.GOOD, False
        except CardshopError as error:
            result, again = f"{error.sentence} {error.hint}".strip(), error.retryable
        except DatabaseError as error:
            result = f"The database does not answer ({type(error).__name__})."
        except Exception as error:
            log.exception("a job has a fault", schedule=schedule.name)
            result = f"The job has a fault ({type(error).__name__}); it is in beat's log."
        told = log.debug if state is RunState.GOOD else log.error
        told("schedule run", schedule=schedule.name, state=state, result=result)
        try:
            shop.end(self.store, schedule, state, result, again=again)
            self.store.health.did("schedule-run")
        except DatabaseError as error:
            # Its lease runs out, and it is run again.
            log.warning("the end of a run can't be kept", schedule=schedule.name, error=type(error).__name__)


def scheduler_class(store: Store, jobs: Mapping[JobKind, Job]) -> type[ShopScheduler]:
    """The scheduler over ``store`` and what it can run, as Celery's beat takes it."""
    return type("StoredScheduler", (ShopScheduler,), {"store": store, "jobs": jobs})


def celery_app(connection: Connection) -> Celery:
    """The Celery app of beat: it publishes, confirmed and persistent, to queues that are declared."""
    app = Celery(
        "beat", broker=connection.as_uri(include_password=True), control=Control, set_as_current=False
    )
    app.conf.update(
        broker_use_ssl=connection.ssl,
        broker_transport_options={"confirm_publish": True},
        broker_connection_timeout=connection.connect_timeout,
        task_serializer="json",
        accept_content=["json"],
        event_exchange=names.EVENT_EXCHANGE,
        task_create_missing_queues=False,
        task_default_delivery_mode="persistent",
        enable_utc=True,
    )
    return app
