"""The collection ``schedules``: what beat runs, and when it last did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.store.database import Clock, Collection, Database, Document


@dataclass(frozen=True)
class Schedule:
    """A job and its interval."""

    name: str
    job: str
    every_seconds: int
    last_run: datetime | None = None
    last_result: str = ""


class Schedules:
    """Schedules by name."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._schedules: Collection[Document] = database["schedules"]
        self._clock = clock

    def ensure(self, schedule: Schedule) -> None:
        """Stores the schedule unless one of its name is there."""
        self._schedules.update_one(
            {"_id": schedule.name},
            {
                "$setOnInsert": {
                    "job": schedule.job,
                    "every_seconds": schedule.every_seconds,
                    "last_run": None,
                    "last_result": "",
                }
            },
            upsert=True,
        )

    def every(self) -> list[Schedule]:
        """All schedules by name."""
        return [
            Schedule(
                name=document["_id"],
                job=document["job"],
                every_seconds=document["every_seconds"],
                last_run=document["last_run"],
                last_result=document["last_result"],
            )
            for document in self._schedules.find().sort("_id", 1)
        ]

    def begin(self, schedule: Schedule) -> bool:
        """Takes this run; False when another beat took it already."""
        now = self._clock()
        due = now - timedelta(seconds=schedule.every_seconds * 0.9)
        taken = self._schedules.update_one(
            {"_id": schedule.name, "$or": [{"last_run": None}, {"last_run": {"$lte": due}}]},
            {"$set": {"last_run": now}},
        )
        return taken.modified_count == 1

    def end(self, schedule: Schedule, result: str) -> None:
        """Keeps how the run ended, as a sentence."""
        self._schedules.update_one({"_id": schedule.name}, {"$set": {"last_result": result}})
