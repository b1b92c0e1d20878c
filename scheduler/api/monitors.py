"""Monitors: how they keep up with what the workers tell."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right


class Monitor(Told):
    """A monitor, and its last second or so."""

    name: str
    silent: bool
    at: Moment  # when it told so
    started_at: Moment
    folded: int  # events since it started
    events_per_second: float
    lag_seconds: float  # median of the time between an event and its folding
    longest_lag_seconds: float
    queue_length: int  # messages that wait in the event queue, for all monitors


class MonitorList(Resource):
    """``/v1/monitors``."""

    @operation("List the monitors", Right.READ_WORKERS, answer=Listed[Monitor])
    def get(self) -> Listed[Monitor]:
        """Those that told of themselves within the hour."""
        monitors = [
            Monitor(silent=seen.silent, at=seen.at, **vars(seen.reading))
            for seen in self.services.store.monitors.every()
        ]
        return Listed[Monitor](items=monitors, total=len(monitors))
