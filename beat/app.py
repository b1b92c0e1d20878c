"""Celery's beat with the ``schedules`` collection for its entries; the jobs run here, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import structlog
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule as interval
from kombu import Connection

from beat.jobs import DEFAULT_SCHEDULES, Job
from cardshop.contract import names
from cardshop.contract.errors import CardshopError
from cardshop.control import Control
from scheduler.store.database import DatabaseError
from scheduler.store.schedules import Schedule
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

NEVER = datetime.fromtimestamp(0, UTC)

RELOAD_SECONDS = 5
"""Longest sleep of the clock; changed schedules are seen after it."""


class ShopScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs due schedules through the shop; :func:`scheduler_class` makes it with its store."""

    store: ClassVar[Store]
    jobs: ClassVar[Mapping[str, Job]]
    max_interval = RELOAD_SECONDS

    @property
    def producer(self) -> None:
        """None: jobs run here, so the clock must not wait for RabbitMQ."""

    def setup_schedule(self) -> None:
        """Reads the schedules; makes the default ones the first time."""
        for schedule in DEFAULT_SCHEDULES:
            self.store.schedules.ensure(schedule)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Runs what is due, after a look at what the schedules are now."""
        try:
            self._read()
            return float(super().tick(*args, **kwargs))
        except DatabaseError as error:
            log.warning("the database does not answer", error=type(error).__name__)
            return 1.0

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:  # noqa: ARG002 - Celery's signature
        """Runs the entry's job unless another beat took this run."""
        schedule = entry.kwargs["schedule"]
        if not self.store.schedules.begin(schedule):
            return
        try:
            result = self.jobs[schedule.job](self.store)
        except CardshopError as error:
            result = f"{error.sentence} {error.hint}".strip()
            log.error("schedule failed", schedule=schedule.name, error=result)
        self.store.schedules.end(schedule, result)
        self.store.health.did("schedule-run")
        log.debug("schedule run", schedule=schedule.name, result=result)

    def _read(self) -> None:
        schedules = self.store.schedules.every()
        self.merge_inplace({schedule.name: self._entry(schedule) for schedule in schedules})

    def _entry(self, schedule: Schedule) -> dict[str, Any]:
        return {
            "task": schedule.job,
            "schedule": interval(timedelta(seconds=schedule.every_seconds), app=self.app),
            "kwargs": {"schedule": schedule},
            # Without it an entry would begin to count anew with each start of beat.
            "last_run_at": schedule.last_run or NEVER,
        }


def scheduler_class(store: Store, jobs: Mapping[str, Job]) -> type[ShopScheduler]:
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
        task_serializer="json",
        accept_content=["json"],
        event_exchange=names.EVENT_EXCHANGE,
        task_create_missing_queues=False,
        task_default_delivery_mode="persistent",
        enable_utc=True,
    )
    return app
