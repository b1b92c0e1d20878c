"""Schedules: what beat does, when, and how it went. Pure; :mod:`scheduler.timetable` knows the times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cardshop.contract.errors import InvalidInput
from scheduler.domain.orders import MOST_CARDS, Recipient

LATE = timedelta(seconds=60)
"""A run that begins later than this after it was due was missed: beat was down."""

LEASE = timedelta(seconds=20)
"""How long a run belongs to a beat that doesn't say that it still works on it; every few seconds it does."""

MOST_TRIES = 4
"""Tries of one run: those that another may mend, and those that a killed beat left."""

FIRST_PAUSE = timedelta(minutes=2)
"""Between a failed try and the next; it doubles with each."""

LEAST_SECONDS = 5
MOST_SECONDS = 366 * 24 * 3600
MOST_DAYS = 3660


class JobKind(StrEnum):
    """What a schedule does."""

    ORDER_RECIPE = "order-recipe"  # places an order of a kept recipe
    REFRESH_CATALOGUES = "refresh-catalogues"  # reads one catalogue, or all
    EXPIRE_LINKS = "expire-links"  # ends the downloads of images that were ready so many days ago
    DELETE_IMAGES = "delete-images"  # drops images that nobody needs, unused for so many days
    CLOSE_STALE_ORDERS = "close-stale-orders"  # cancels orders in which nothing moved for so many days
    ROTATE_KEYS = "rotate-keys"  # signs tokens with a new key
    CLEAN_LOGS = "clean-logs"  # drops logs, sent messages and unused pictures that are so many days old
    DISPATCH_WAITING = "dispatch-waiting"  # gives write tasks to writers


class Missed(StrEnum):
    """What becomes of runs that were due while no beat ran."""

    CATCH_UP = "catch-up"  # one run takes the place of all that were missed
    SKIP = "skip"  # they are left out


class RunState(StrEnum):
    """How the last run went."""

    RUNNING = "running"
    GOOD = "good"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Timing:
    """When: exactly one of ``crontab``, ``every_seconds`` and ``at`` is set."""

    crontab: str = ""  # five fields: minute, hour, day of month, month, day of week
    timezone: str = "UTC"  # of the crontab, from the tz database
    every_seconds: int = 0
    at: datetime | None = None  # once


@dataclass(frozen=True)
class StandingOrder:
    """What ``order-recipe`` orders, for the account that made the schedule."""

    recipe_id: str
    quantity: int  # cards; 0: a download only
    recipient: Recipient
    medium: str = ""  # takes the place of the recipe's size
    client: str = ""  # organisation that it is for


@dataclass(frozen=True)
class Work:
    """What a schedule does, with what its kind takes."""

    kind: JobKind
    order: StandingOrder | None = None  # order-recipe
    catalogue: str = ""  # refresh-catalogues; empty: all
    days: int = 0  # of the kinds that judge by age


@dataclass(frozen=True)
class Run:
    """A run that somebody works on, or that is to be tried again."""

    due: datetime  # when it should have begun; with the schedule's id it names the run
    tries: int  # that were begun
    until: datetime  # the lease of the beat that has it; past it another may try
    beat: str = ""  # who has it; empty: it failed and waits for ``until``


@dataclass(frozen=True)
class Schedule:
    """A schedule as the database keeps it."""

    id: str
    name: str  # unique, for people
    work: Work
    timing: Timing
    owner: str  # user name; of a built-in schedule: "beat"
    created_at: datetime
    updated_at: datetime
    missed: Missed = Missed.CATCH_UP
    enabled: bool = True
    built_in: bool = False  # made by beat, and made again if it weren't there
    next_run: datetime | None = None  # None: never again
    run: Run | None = None
    last_run: datetime | None = None  # when the last run began
    last_seconds: float | None = None  # that it took
    last_state: RunState | None = None
    last_result: str = ""  # a sentence
    revision: int = 0


_TAKES_DAYS = {
    JobKind.EXPIRE_LINKS,
    JobKind.DELETE_IMAGES,
    JobKind.CLOSE_STALE_ORDERS,
    JobKind.CLEAN_LOGS,
}


def check_work(work: Work) -> None:
    """Checks that a kind has what it takes, and nothing else.

    Raises:
        InvalidInput: with the field.
    """
    if (work.kind is JobKind.ORDER_RECIPE) != (work.order is not None):
        raise _missing_or_odd("order", work, needed=work.order is None)
    if (work.kind in _TAKES_DAYS) != bool(work.days):
        raise _missing_or_odd("days", work, needed=not work.days)
    if work.catalogue and work.kind is not JobKind.REFRESH_CATALOGUES:
        raise _missing_or_odd("catalogue", work, needed=False)
    if not 0 <= work.days <= MOST_DAYS:
        raise InvalidInput(f"The days are from 1 to {MOST_DAYS}.", field="days")
    if work.order is not None and not 0 <= work.order.quantity <= MOST_CARDS:
        raise InvalidInput(f"An order has from 0 to {MOST_CARDS} cards.", field="order.quantity")


def run_begun(schedule: Schedule, now: datetime, beat: str, following: datetime | None) -> Schedule:
    """The schedule when ``beat`` has taken the run that is due; ``following`` is its next time after it."""
    before = schedule.run
    due = before.due if before else schedule.next_run or now
    return _changed(
        schedule,
        next_run=schedule.next_run if before else following,
        run=Run(due, (before.tries if before else 0) + 1, now + LEASE, beat),
        last_run=now,
        last_state=RunState.RUNNING,
    )


def run_renewed(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule when the beat that has its run still works on it."""
    return _changed(schedule, run=schedule.run and replace(schedule.run, until=now + LEASE))


def run_skipped(schedule: Schedule, following: datetime | None) -> Schedule:
    """The schedule when its missed run is left out."""
    return _changed(
        schedule,
        next_run=following,
        last_state=RunState.SKIPPED,
        last_result=f"Left out: no beat ran when it was due, {schedule.next_run:%Y-%m-%d %H:%M} UTC.",
    )


def run_ended(
    schedule: Schedule, now: datetime, state: RunState, result: str, *, again: bool = False
) -> Schedule:
    """The schedule when its run has ended; ``again``: a failed one may be tried again."""
    run = schedule.run
    begun = schedule.last_run or now
    waits = None
    if again and run is not None and run.tries < MOST_TRIES:
        pause = FIRST_PAUSE * 2 ** (run.tries - 1)
        # The next regular run is as good as another try.
        if schedule.next_run is None or now + pause < schedule.next_run:
            waits = Run(run.due, run.tries, now + pause)
    return _changed(
        schedule,
        run=waits,
        last_seconds=round((now - begun).total_seconds(), 3),
        last_state=state,
        last_result=result,
    )


def is_given_up(schedule: Schedule) -> bool:
    """Whether each try of the run was left unfinished: it is what kills beat."""
    return schedule.run is not None and bool(schedule.run.beat) and schedule.run.tries >= MOST_TRIES


def _changed(schedule: Schedule, **values: Any) -> Schedule:
    return replace(schedule, revision=schedule.revision + 1, **values)


def _missing_or_odd(field: str, work: Work, *, needed: bool) -> InvalidInput:
    said = f"needs the field {field}" if needed else f"does not take the field {field}"
    return InvalidInput(f"A schedule of the kind {work.kind} {said}.", field=field)
