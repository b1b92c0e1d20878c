"""Alarms: silent workers and slots, tasks that were given up."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Paged, Told
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Right


class AlarmQuery(Paged):
    """Which alarms."""

    open: bool = Field(default=False, description="only those that have not ended")


class Alarm(Told):
    """What a person must look at."""

    id: str
    kind: AlarmKind
    subject: str  # the worker, "<worker>/<slot>" or the task that it is about
    sentence: str
    raised_at: Moment
    ended_at: Moment | None


class AlarmList(Resource):
    """``/v1/alarms``."""

    @operation("List the alarms, newest first", Right.READ_ALARMS, query=AlarmQuery, answer=Listed[Alarm])
    def get(self, query: AlarmQuery) -> Listed[Alarm]:
        """Open ones, and those that have ended."""
        alarms, total = self.services.store.alarms.page(
            open_only=query.open, skip=query.skip, limit=query.per_page
        )
        return Listed[Alarm](items=[Alarm(**vars(alarm)) for alarm in alarms], total=total)
