"""Health: whether work gets done, not only whether the process lives."""

from __future__ import annotations

from typing import Literal

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Moment, Told
from scheduler.shop import monitors
from scheduler.store.database import DatabaseError


class Events(Told):
    """How the shop keeps up with what its workers tell."""

    queue_length: int  # events that wait
    lag_seconds: float  # between an event and its folding
    dead_letters: int  # messages that wait for an admin's decision


class Health(Told):
    """How the shop is."""

    status: Literal["ok", "degraded"]  # degraded: the database does not answer
    mongo: bool
    work: dict[str, Moment]  # when each kind of work was last done, e.g. "event-folded"
    last_event_folded_at: Moment | None
    events: Events | None


class HealthItem(Resource):
    """``/v1/health``."""

    @operation("Tell how the shop is", None, answer=Health)
    def get(self) -> Health:
        """Open to everyone, for watchdogs."""
        try:
            work = self.services.store.health.every()
            events = Events(**vars(monitors.metrics(self.services.store)))
        except DatabaseError:
            return Health(status="degraded", mongo=False, work={}, last_event_folded_at=None, events=None)
        return Health(
            status="ok", mongo=True, work=work, last_event_folded_at=work.get("event-folded"), events=events
        )
