"""Schedules: what beat runs, when, and how it went. People make, change, start and remove them."""

from __future__ import annotations

import uuid
from datetime import UTC

from pydantic import AwareDatetime, Field

from cardshop.contract.errors import CardshopError, NotAllowed
from scheduler import timetable
from scheduler.api.operations import Resource, operation
from scheduler.api.orders import GivenRecipient, ToldRecipient
from scheduler.api.recipes import kept_recipe
from scheduler.api.schemas import Given, Listed, Moment, Name, Told
from scheduler.api.services import Services
from scheduler.domain import schedules as rules
from scheduler.domain.rights import Right, may
from scheduler.domain.schedules import JobKind, Missed, RunState
from scheduler.shop import schedules as shop
from scheduler.shop.accounts import Caller

UPCOMING = 3
"""Times that are told ahead."""


class GivenStandingOrder(Given):
    """What ``order-recipe`` orders each time, for the account that makes the schedule."""

    recipe_id: str
    quantity: int = Field(strict=True, description="cards; 0: a download only")
    recipient: GivenRecipient
    medium: str | None = Field(default=None, description="takes the place of the recipe's size")
    client: str | None = Field(default=None, max_length=200, description="the organisation it is for")


class GivenSchedule(Given):
    """A schedule. When: exactly one of ``crontab``, ``every_seconds`` and ``at``."""

    name: Name
    kind: JobKind
    crontab: str = Field(default="", examples=["0 3 1 * *"], description="minute hour day month weekday")
    timezone: str = Field(default="UTC", description="of the crontab, from the tz database")
    every_seconds: int = Field(default=0, strict=True)
    at: AwareDatetime | None = Field(default=None, description="once")
    missed: Missed = Field(default=Missed.CATCH_UP, description="what becomes of runs that beat was down for")
    enabled: bool = True
    order: GivenStandingOrder | None = Field(default=None, description="of order-recipe")
    catalogue: str = Field(default="", description="of refresh-catalogues; empty: all")
    days: int = Field(default=0, strict=True, description="of the kinds that judge by age")


class ToldStandingOrder(Told):
    """What ``order-recipe`` orders."""

    recipe_id: str
    quantity: int
    recipient: ToldRecipient
    medium: str
    client: str


class Schedule(Told):
    """A schedule, and how its last run went."""

    id: str
    name: str
    kind: JobKind
    crontab: str
    timezone: str
    every_seconds: int
    at: Moment | None
    in_words: str  # the timing, for people
    missed: Missed
    enabled: bool
    built_in: bool
    owner: str
    order: ToldStandingOrder | None
    catalogue: str
    days: int
    next_run: Moment | None
    upcoming: list[Moment]  # after next_run
    last_run: Moment | None
    last_seconds: float | None
    last_state: RunState | None
    last_result: str
    tries: int  # of a run that goes on, or is to be tried again
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, schedule: rules.Schedule) -> Schedule:
        """What is told of a schedule."""
        work, timing = schedule.work, schedule.timing
        following = shop.due_at(schedule) if schedule.enabled else None
        if schedule.run is not None and schedule.run.beat:
            following = schedule.next_run
        return cls(
            id=schedule.id,
            name=schedule.name,
            kind=work.kind,
            crontab=timing.crontab,
            timezone=timing.timezone,
            every_seconds=timing.every_seconds,
            at=timing.at,
            in_words=timetable.in_words(timing),
            missed=schedule.missed,
            enabled=schedule.enabled,
            built_in=schedule.built_in,
            owner=schedule.owner,
            order=_told_order(work.order),
            catalogue=work.catalogue,
            days=work.days,
            next_run=following,
            upcoming=timetable.upcoming(timing, following, UPCOMING) if following else [],
            last_run=schedule.last_run,
            last_seconds=schedule.last_seconds,
            last_state=schedule.last_state,
            last_result=schedule.last_result,
            tries=schedule.run.tries if schedule.run else 0,
            created_at=schedule.created_at,
            updated_at=schedule.updated_at,
        )


class ScheduleList(Resource):
    """``/v1/schedules``."""

    @operation("List the schedules", Right.READ_SCHEDULES, answer=Listed[Schedule])
    def get(self) -> Listed[Schedule]:
        """Every schedule, by name."""
        schedules = [Schedule.of(each) for each in self.services.store.schedules.every()]
        return Listed[Schedule](items=schedules, total=len(schedules))

    @operation("Make a schedule", Right.SCHEDULE_ORDERS, body=GivenSchedule, answer=Schedule, status=201)
    def post(self, caller: Caller, body: GivenSchedule) -> Schedule:
        """Beat sees it within seconds. An operator makes those that order recipes, an admin any."""
        draft = _draft(self.services, body, caller)
        made = shop.add(self.services.store, draft, schedule_id=str(uuid.uuid4()), owner=caller.username)
        return Schedule.of(made)


class ScheduleItem(Resource):
    """``/v1/schedules/{schedule_id}``."""

    @operation("Show a schedule", Right.READ_SCHEDULES, answer=Schedule)
    def get(self, schedule_id: str) -> Schedule:
        """The schedule, and how its last run went."""
        return Schedule.of(self.services.store.schedules.get(schedule_id))

    @operation("Change a schedule", Right.SCHEDULE_ORDERS, body=GivenSchedule, answer=Schedule)
    def put(self, caller: Caller, schedule_id: str, body: GivenSchedule) -> Schedule:
        """The whole schedule anew; its owner, for whom recipes are ordered, stays."""
        _check_right(self.services, schedule_id, caller)
        draft = _draft(self.services, body, caller)
        return Schedule.of(shop.change(self.services.store, schedule_id, draft))

    @operation("Remove a schedule", Right.SCHEDULE_ORDERS, status=204)
    def delete(self, caller: Caller, schedule_id: str) -> None:
        """A built-in one can be turned off only."""
        _check_right(self.services, schedule_id, caller)
        shop.remove(self.services.store, schedule_id)


class ScheduleRuns(Resource):
    """``/v1/schedules/{schedule_id}/runs``."""

    @operation("Run a schedule now", Right.SCHEDULE_ORDERS, answer=Schedule, status=201)
    def post(self, caller: Caller, schedule_id: str) -> Schedule:
        """Beat begins it within seconds, unless it runs already."""
        _check_right(self.services, schedule_id, caller)
        return Schedule.of(shop.run_now(self.services.store, schedule_id))


def _check_right(services: Services, schedule_id: str, caller: Caller) -> None:
    _check_kind(services.store.schedules.get(schedule_id).work.kind, caller)


def _check_kind(kind: JobKind, caller: Caller) -> None:
    if kind is not JobKind.ORDER_RECIPE and not may(caller.role, Right.MANAGE_SCHEDULES):
        raise NotAllowed(f"The role {caller.role} schedules orders of recipes only, not {kind}.")


def _draft(services: Services, body: GivenSchedule, caller: Caller) -> shop.ScheduleDraft:
    _check_kind(body.kind, caller)
    if body.order is not None:
        try:
            kept_recipe(services, body.order.recipe_id, caller)
        except CardshopError as error:
            error.field = "order.recipe_id"
            raise
    return shop.ScheduleDraft(
        name=body.name,
        work=rules.Work(body.kind, _standing_order(body.order), body.catalogue, body.days),
        timing=rules.Timing(
            body.crontab, body.timezone, body.every_seconds, body.at and body.at.astimezone(UTC)
        ),
        missed=body.missed,
        enabled=body.enabled,
    )


def _standing_order(given: GivenStandingOrder | None) -> rules.StandingOrder | None:
    if given is None:
        return None
    return rules.StandingOrder(
        recipe_id=given.recipe_id,
        quantity=given.quantity,
        recipient=given.recipient.kept(),
        medium=given.medium or "",
        client=given.client or "",
    )


def _told_order(order: rules.StandingOrder | None) -> ToldStandingOrder | None:
    if order is None:
        return None
    return ToldStandingOrder(
        recipe_id=order.recipe_id,
        quantity=order.quantity,
        recipient=ToldRecipient.of(order.recipient),
        medium=order.medium,
        client=order.client,
    )
