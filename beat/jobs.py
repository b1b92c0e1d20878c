"""The jobs that schedules name. Each returns a sentence about what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.catalogue.web import Web
from scheduler.domain.schedules import JobKind, Schedule, Timing, Work
from scheduler.seal import Seal
from scheduler.shop import catalogue, retention, standing_orders, upkeep
from scheduler.shop.dispatching import dispatch
from scheduler.shop.schedules import ScheduleDraft, built_in
from scheduler.shop.signing import Signing
from scheduler.store.store import Store

Job = Callable[[Schedule], str]


@dataclass(frozen=True)
class Tools:
    """What the jobs work with."""

    store: Store
    web: Web
    seal: Seal
    signing: Signing


def default_schedules(now: datetime) -> list[Schedule]:
    """The built-in schedules of a new shop; people may change when they run, and turn them off."""
    night = "10 3 * * *"

    def each(seconds: int) -> Timing:
        return Timing(every_seconds=seconds)

    return [
        built_in(draft, now)
        for draft in (
            ScheduleDraft("give waiting tasks to workers", Work(JobKind.DISPATCH_WAITING), each(5)),
            ScheduleDraft("read the catalogues", Work(JobKind.REFRESH_CATALOGUES), each(6 * 3600)),
            ScheduleDraft(
                "close stale orders", Work(JobKind.CLOSE_STALE_ORDERS, days=180), Timing(crontab=night)
            ),
            ScheduleDraft("end downloads", Work(JobKind.EXPIRE_LINKS, days=30), Timing(crontab=night)),
            ScheduleDraft("delete images", Work(JobKind.DELETE_IMAGES, days=90), Timing(crontab=night)),
            ScheduleDraft("clean logs", Work(JobKind.CLEAN_LOGS, days=60), Timing(crontab=night)),
            ScheduleDraft("sign with a new key", Work(JobKind.ROTATE_KEYS), Timing(crontab="40 3 1 * *")),
        )
    ]


def jobs(tools: Tools) -> Mapping[JobKind, Job]:
    """The job of each kind."""
    store = tools.store
    return {
        JobKind.ORDER_RECIPE: lambda schedule: _order_recipe(tools, schedule),
        JobKind.REFRESH_CATALOGUES: lambda schedule: _refresh(tools, schedule.work.catalogue),
        JobKind.EXPIRE_LINKS: lambda schedule: (
            f"Ended {retention.expire_links(store, schedule.work.days)} downloads."
        ),
        JobKind.DELETE_IMAGES: lambda schedule: (
            f"Gave up {retention.delete_images(store, schedule.work.days)} images."
        ),
        JobKind.CLOSE_STALE_ORDERS: lambda schedule: (
            f"Closed {upkeep.close_stale_orders(store, schedule.work.days)} orders."
        ),
        JobKind.CLEAN_LOGS: lambda schedule: _clean_logs(store, schedule.work.days),
        JobKind.ROTATE_KEYS: lambda _: _rotate_keys(tools.signing),
        JobKind.DISPATCH_WAITING: lambda _: f"Gave {dispatch(store)} tasks to workers.",
    }


def _order_recipe(tools: Tools, schedule: Schedule) -> str:
    standing, run = schedule.work.order, schedule.run
    if standing is None or run is None:
        raise ValueError("not a schedule of a recipe that was taken")
    order = standing_orders.place(
        tools.store,
        tools.web,
        tools.seal,
        standing,
        schedule_id=schedule.id,
        owner=schedule.owner,
        due=run.due,
    )
    return f"Placed order {order.number}."


def _refresh(tools: Tools, name: str) -> str:
    if name:
        read = catalogue.refresh(tools.store, tools.web, name)
        return f"Read {read.entries} entries of {name}."
    return f"Read {catalogue.refresh_all(tools.store, tools.web)} catalogues."


def _clean_logs(store: Store, days: int) -> str:
    done = upkeep.clean_logs(store, days)
    return (
        f"Dropped {done.logs} pieces of logs, {done.messages} sent messages and {done.pictures} unused "
        "pictures."
    )


def _rotate_keys(signing: Signing) -> str:
    signing.rotate()
    return "New tokens are signed with a new key."
