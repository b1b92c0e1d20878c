"""Schedules: what beat runs, and how it went."""

from __future__ import annotations

from dataclasses import asdict

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right


class Schedule(Told):
    """A job and its interval."""

    name: str
    job: str
    every_seconds: int
    last_run: Moment | None
    last_result: str


class ScheduleList(Resource):
    """``/v1/schedules``."""

    @operation("List the schedules", Right.READ_SCHEDULES, answer=Listed[Schedule])
    def get(self) -> Listed[Schedule]:
        """Every schedule, by name."""
        schedules = [Schedule.model_validate(asdict(each)) for each in self.services.store.schedules.every()]
        return Listed[Schedule](items=schedules, total=len(schedules))
