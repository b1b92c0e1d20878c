"""Schedules, and a beat without a broker, for the tests of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu import Connection

from beat.app import ShopScheduler, celery_app, scheduler_class
from beat.jobs import Tools
from scheduler.domain.schedules import JobKind, Schedule, Timing, Work
from scheduler.shop import schedules as shop
from scheduler.shop.schedules import ScheduleDraft
from tests.api import Api

HOURLY = {
    "name": "logs",
    "kind": "clean-logs",
    "days": 30,
    "crontab": "0 * * * *",
    "timezone": "Europe/Paris",
}
WORK = Work(JobKind.CLEAN_LOGS, days=30)


def tools(api: Api) -> Tools:
    services = api.services
    return Tools(services.store, services.web, services.seal, services.signing)


def beat(api: Api, job: Callable[[Schedule], str]) -> ShopScheduler:
    """A beat that does ``job`` whatever the kind; it needs no broker to run jobs."""
    made = scheduler_class(api.store, dict.fromkeys(JobKind, job))
    return made(celery_app(Connection("memory://")), lazy=True)


def add(api: Api, **changes: Any) -> Schedule:
    values = {
        "name": "logs",
        "work": WORK,
        "timing": Timing(every_seconds=600),
        **changes,
    }
    return shop.add(api.store, ScheduleDraft(**values), schedule_id=values["name"], owner="admin")
