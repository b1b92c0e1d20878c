"""The collection ``task_logs``: what workers say of their tasks, for the person who follows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne

from scheduler.store.database import Clock, Collection, Database, Document

KEPT_SECONDS = 90 * 24 * 3600
"""Lines are dropped after this long."""


@dataclass(frozen=True)
class LogEntry:
    """The lines of one event."""

    task_id: str
    ordinal: tuple[int, int, int]  # of the event
    said_at: datetime  # by the worker's clock
    lines: Sequence[str]


class TaskLogs:
    """Lines by task and attempt; the same event stored twice is stored once."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._logs: Collection[Document] = database["task_logs"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._logs.create_index("at", expireAfterSeconds=KEPT_SECONDS)

    def add_all(self, entries: Iterable[LogEntry]) -> None:
        """Stores the lines of many events."""
        now = self._clock()
        upserts = [
            UpdateOne(
                {"_id": _id(entry)},
                {"$setOnInsert": {"at": now, "said_at": entry.said_at, "lines": list(entry.lines)}},
                upsert=True,
            )
            for entry in entries
        ]
        if upserts:
            self._logs.bulk_write(upserts, ordered=False)

    def of_task(self, task_id: str) -> list[Document]:
        """The task's lines as {"attempt", "at", "lines"}, in the order in which they were said."""
        found = self._logs.find(
            {"_id": {"$gte": {"task_id": task_id}, "$lt": {"task_id": task_id + "\0"}}}
        ).sort("_id", 1)
        return [
            {"attempt": entry["_id"]["attempt"], "at": entry["said_at"], "lines": entry["lines"]}
            for entry in found
        ]

    def drop_before(self, moment: datetime) -> int:
        """Drops the lines that came before; returns of how many events."""
        return self._logs.delete_many({"at": {"$lt": moment}}).deleted_count


def _id(entry: LogEntry) -> Document:
    attempt, claim, seq = entry.ordinal
    return {"task_id": entry.task_id, "attempt": attempt, "claim": claim, "seq": seq}
