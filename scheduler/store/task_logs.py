"""The collection ``task_logs``: what workers say of their tasks, for the person who follows them.

A task keeps its newest :data:`MOST_BYTES`; ``task_log_sizes`` tells how much each has, and what was dropped.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import DESCENDING, TEXT, UpdateOne

from scheduler.store.database import Clock, Collection, Database, Document, Session, in_transaction

KEPT_SECONDS = 90 * 24 * 3600
"""Lines are dropped after this long."""

MOST_BYTES = 1024 * 1024
"""Text that is kept of a task, over all its attempts; the oldest lines are dropped for new ones."""

BYTES_AFTER_DROPPING = MOST_BYTES * 9 // 10
"""Some room is made at once, so that not each new line has to."""


@dataclass(frozen=True)
class LogEntry:
    """The lines of one event."""

    task_id: str
    ordinal: tuple[int, int, int]  # of the event
    said_at: datetime  # by the worker's clock
    lines: Sequence[str]

    @property
    def size(self) -> int:
        """Bytes of text."""
        return sum(len(line.encode(errors="replace")) + 1 for line in self.lines)


@dataclass(frozen=True)
class LogPart:
    """Lines that were said at one moment, of one task."""

    task_id: str
    attempt: int
    at: datetime
    lines: list[str]


class TaskLogs:
    """Lines by task and attempt; the same event stored twice is stored once."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._database = database
        self._logs: Collection[Document] = database["task_logs"]
        self._sizes: Collection[Document] = database["task_log_sizes"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below; words are found as they are written, in whatever language."""
        self._logs.create_index("at", expireAfterSeconds=KEPT_SECONDS)
        self._logs.create_index([("lines", TEXT)], default_language="none")
        self._sizes.create_index("at", expireAfterSeconds=KEPT_SECONDS)

    def add_all(self, entries: Iterable[LogEntry]) -> None:
        """Stores the lines of many events; drops the oldest lines of tasks that have too many."""
        now = self._clock()
        given = list(entries)
        if not given:
            return
        stored = self._logs.bulk_write([_upsert(entry, now) for entry in given], ordered=False)
        added: Counter[str] = Counter()
        for place in stored.upserted_ids or {}:
            added[given[place].task_id] += given[place].size
        if added:
            self._count(added, now)

    def of_task(self, task_id: str, text: str = "") -> list[LogPart]:
        """The task's lines, in the order in which they were said; only those with ``text``, in any case."""
        wanted = re.compile(re.escape(text), re.IGNORECASE)
        return _parts(self._logs.find(_of(task_id)).sort("_id", 1), wanted)

    def dropped(self, task_id: str) -> int:
        """How many of the task's oldest lines were dropped to make room."""
        size = self._sizes.find_one({"_id": task_id}) or {}
        return int(size.get("dropped_lines", 0))

    def search(self, words: str, *, limit: int = 200) -> list[LogPart]:
        """Lines of all tasks that have these words beside each other, newest first."""
        phrase = '"' + words.replace("\\", " ").replace('"', " ") + '"'
        found = self._logs.find({"$text": {"$search": phrase}}).sort("said_at", DESCENDING).limit(limit)
        return _parts(found, re.compile(re.escape(words.strip()), re.IGNORECASE))

    def drop_before(self, moment: datetime) -> int:
        """Drops the lines that came before; returns of how many events."""
        return self._logs.delete_many({"at": {"$lt": moment}}).deleted_count

    def _count(self, added: Counter[str], now: datetime) -> None:
        updates = [
            UpdateOne(
                {"_id": task_id},
                {"$inc": {"bytes": size, "dropped_lines": 0}, "$set": {"at": now}},
                upsert=True,
            )
            for task_id, size in added.items()
        ]
        self._sizes.bulk_write(updates, ordered=False)
        too_large = {"_id": {"$in": list(added)}, "bytes": {"$gt": MOST_BYTES}}
        for size in self._sizes.find(too_large, {"_id": 1}):
            in_transaction(self._database, functools.partial(self._drop, size["_id"]))

    def _drop(self, task_id: str, session: Session) -> None:
        """Drops the oldest lines, and counts anew: what was counted may have gone by its age meanwhile."""
        kept = lines = 0
        last: Document | None = None  # the newest entry that has no room
        for entry in self._logs.find(_of(task_id), session=session).sort("_id", DESCENDING):
            if last is None and kept + entry["bytes"] <= BYTES_AFTER_DROPPING:
                kept += entry["bytes"]
            else:
                last = last or entry["_id"]
                lines += len(entry["lines"])
        if last is not None:
            oldest = {"$and": [_of(task_id), {"_id": {"$lte": last}}]}
            self._logs.delete_many(oldest, session=session)
        self._sizes.update_one(
            {"_id": task_id}, {"$set": {"bytes": kept}, "$inc": {"dropped_lines": lines}}, session=session
        )


def _upsert(entry: LogEntry, now: datetime) -> UpdateOne:
    attempt, claim, seq = entry.ordinal
    return UpdateOne(
        {"_id": {"task_id": entry.task_id, "attempt": attempt, "claim": claim, "seq": seq}},
        {
            "$setOnInsert": {
                "at": now,
                "said_at": entry.said_at,
                "lines": list(entry.lines),
                "bytes": entry.size,
            }
        },
        upsert=True,
    )


def _of(task_id: str) -> Document:
    """A task's entries: their ids begin with its id, and order by what follows."""
    return {"_id": {"$gte": {"task_id": task_id}, "$lt": {"task_id": task_id + "\0"}}}


def _parts(documents: Iterable[Document], wanted: re.Pattern[str]) -> list[LogPart]:
    """The lines that have what is wanted, without those that don't."""
    parts = []
    for document in documents:
        lines = [line for line in document["lines"] if wanted.search(line)]
        if lines:
            name = document["_id"]
            parts.append(LogPart(name["task_id"], name["attempt"], document["said_at"], lines))
    return parts
