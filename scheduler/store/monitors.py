"""The collection ``monitors``: how each monitor keeps up with the events."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from scheduler.store.database import Clock, Collection, Database, Document

SILENT_AFTER = timedelta(seconds=30)
"""A monitor tells of itself each second; without that for so long it is silent."""

KEPT_SECONDS = 3600
"""A silent monitor is forgotten after this long."""


@dataclass(frozen=True)
class Reading:
    """What a monitor tells of the last second or so."""

    name: str  # "<host>:<process>"
    started_at: datetime
    folded: int  # events since it started
    events_per_second: float
    lag_seconds: float  # median of the time between an event and its folding; 0 when none came
    longest_lag_seconds: float
    queue_length: int  # messages that wait in the event queue, for all monitors


@dataclass(frozen=True)
class MonitorSeen:
    """A monitor that was heard of."""

    reading: Reading
    at: datetime
    silent: bool


class Monitors:
    """Readings by monitor."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._monitors: Collection[Document] = database["monitors"]
        self._clock = clock

    def prepare(self) -> None:
        """Readings of monitors that ended are dropped."""
        self._monitors.create_index("at", expireAfterSeconds=KEPT_SECONDS)

    def put(self, reading: Reading) -> None:
        """Keeps the newest reading of a monitor."""
        self._monitors.replace_one(
            {"_id": reading.name}, {**asdict(reading), "at": self._clock()}, upsert=True
        )

    def remove(self, name: str) -> None:
        """The monitor has ended."""
        self._monitors.delete_one({"_id": name})

    def every(self) -> list[MonitorSeen]:
        """All monitors by name."""
        now = self._clock()
        return [
            MonitorSeen(_reading(document), document["at"], now - document["at"] > SILENT_AFTER)
            for document in self._monitors.find().sort("_id", 1)
        ]


def _reading(document: Document) -> Reading:
    return Reading(**{key: value for key, value in document.items() if key not in ("_id", "at")})
