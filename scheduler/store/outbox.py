"""The collection ``outbox``: a line for each message to send, stored with what it is about.

A line is written in the transaction that makes it necessary, leased by one publisher at a time, and marked
as sent when the broker confirmed it. A publisher that dies leaves its lease to run out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId

from scheduler.store.database import Clock, Collection, Database, Document, Session

LEASE = timedelta(seconds=30)
"""How long a publisher may take for one line."""

WAKE_MILLISECONDS = 1000
"""Longest wait of :meth:`Outbox.wait`."""


class LineKind(StrEnum):
    """What a line asks for."""

    TASK = "task"  # publish a task's message to its queue
    REVOKE = "revoke"  # tell the workers to stop a task


@dataclass(frozen=True)
class OutboxLine:
    """One message to send."""

    kind: LineKind
    task_id: str
    queue: str = ""  # of a task's message
    name: str = ""  # Celery's name of the task
    message: Mapping[str, Any] | None = None  # the contract's wire form
    id: str = ""  # given by the store


class Outbox:
    """Lines in the order in which they were written."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._lines: Collection[Document] = database["outbox"]
        self._clock = clock

    def prepare(self) -> None:
        """Makes the indexes; sent lines are dropped after a month."""
        self._lines.create_index([("state", 1), ("_id", 1)])
        self._lines.create_index("sent_at", expireAfterSeconds=30 * 24 * 3600)

    def add(self, lines: Iterable[OutboxLine], session: Session = None) -> None:
        """Stores lines."""
        now = self._clock()
        documents = [
            {
                "kind": line.kind.value,
                "task_id": line.task_id,
                "queue": line.queue,
                "name": line.name,
                "message": line.message,
                "state": "waiting",
                "at": now,
                "leased_until": now,
                "leased_by": None,
                "tries": 0,
            }
            for line in lines
        ]
        if documents:
            self._lines.insert_many(documents, session=session)

    def lease(self, publisher: str) -> OutboxLine | None:
        """The oldest line that nobody else is sending, now leased by ``publisher``."""
        now = self._clock()
        document = self._lines.find_one_and_update(
            {"state": "waiting", "leased_until": {"$lte": now}},
            {"$set": {"leased_until": now + LEASE, "leased_by": publisher}, "$inc": {"tries": 1}},
            sort=[("_id", 1)],
        )
        if document is None:
            return None
        return OutboxLine(
            id=str(document["_id"]),
            kind=LineKind(document["kind"]),
            task_id=document["task_id"],
            queue=document["queue"],
            name=document["name"],
            message=document["message"],
        )

    def mark_sent(self, line: OutboxLine, publisher: str) -> None:
        """The broker confirmed the line."""
        self._lines.update_one(
            {"_id": ObjectId(line.id), "leased_by": publisher},
            {"$set": {"state": "sent", "sent_at": self._clock()}},
        )

    def give_back(self, line: OutboxLine, publisher: str) -> None:
        """The line could not be sent now; anyone may try again."""
        self._lines.update_one(
            {"_id": ObjectId(line.id), "leased_by": publisher}, {"$set": {"leased_until": self._clock()}}
        )

    def drop_sent_before(self, moment: datetime) -> int:
        """Drops the lines that were sent before; returns how many."""
        return self._lines.delete_many({"state": "sent", "sent_at": {"$lt": moment}}).deleted_count

    def waiting(self) -> int:
        """How many lines are not sent."""
        return self._lines.count_documents({"state": "waiting"})

    def wait(self) -> None:
        """Returns when there is a line to send, or after :data:`WAKE_MILLISECONDS`."""
        pipeline = [{"$match": {"operationType": "insert"}}]
        with self._lines.watch(pipeline, max_await_time_ms=WAKE_MILLISECONDS) as changes:
            if self._free() is None:
                changes.try_next()

    def _free(self) -> Document | None:
        return self._lines.find_one({"state": "waiting", "leased_until": {"$lte": self._clock()}})
