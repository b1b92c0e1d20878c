"""The collection ``task_logs``: what workers say of their tasks, for the person who follows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scheduler.store.database import Clock, Collection, Database, Document

KEPT_SECONDS = 90 * 24 * 3600
"""Lines are dropped after this long."""


class TaskLogs:
    """Lines by task and attempt; the same event stored twice is stored once."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._logs: Collection[Document] = database["task_logs"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._logs.create_index("at", expireAfterSeconds=KEPT_SECONDS)

    def add(
        self, task_id: str, ordinal: tuple[int, int, int], said_at: datetime, lines: Sequence[str]
    ) -> None:
        """Stores the lines of one event."""
        attempt, claim, seq = ordinal
        self._logs.update_one(
            {"_id": {"task_id": task_id, "attempt": attempt, "claim": claim, "seq": seq}},
            {"$setOnInsert": {"at": self._clock(), "said_at": said_at, "lines": list(lines)}},
            upsert=True,
        )

    def of_task(self, task_id: str) -> list[Document]:
        """The task's lines as {"attempt", "at", "lines"}, in the order in which they were said."""
        found = self._logs.find(
            {"_id": {"$gte": {"task_id": task_id}, "$lt": {"task_id": task_id + "\0"}}}
        ).sort("_id", 1)
        return [
            {"attempt": entry["_id"]["attempt"], "at": entry["said_at"], "lines": entry["lines"]}
            for entry in found
        ]
