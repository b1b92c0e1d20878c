"""The collection ``outbox``: a line for each message to send, stored with what it is about.

A line is written in the transaction that makes it necessary, leased by one publisher at a time, and marked
as sent when the broker confirmed it. A publisher that dies leaves its lease to run out: its lines are sent by
another, so that each arrives at least once. Lines of one task are sent in the order of its changes, whoever
sends them; a line that has to wait holds up those of its own task only.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId
from pymongo.change_stream import ChangeStream
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from scheduler.store.database import Clock, Collection, Database, Document, Session

LEASE = timedelta(seconds=15)
"""How long a publisher may take for the lines that it leased at once."""

BATCH = 200
"""Lines that are leased at once."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
"""A line that the broker refused waits; the pause doubles with each try."""

STOP_AGAIN = timedelta(seconds=5)
"""A worker that tells on and on of what it has no more is asked to stop again after this long."""

WAKE_MILLISECONDS = 1000
"""Longest wait of :meth:`Changes.wait`."""


class LineKind(StrEnum):
    """What a line asks for."""

    TASK = "task"  # publish a task's message to its queue
    REVOKE = "revoke"  # tell the workers to stop a task
    STOP = "stop"  # tell one worker to stop an attempt that it has no more
    CONSUMING = "consuming"  # tell a creator (its name) to take tasks, or to take none


@dataclass(frozen=True)
class OutboxLine:
    """One message to send."""

    kind: LineKind
    task_id: str
    queue: str = ""  # of a task's message
    name: str = ""  # Celery's name of the task; of a creator, its user name
    message: Mapping[str, Any] | None = None  # the contract's wire form
    node: str = ""  # Celery's name of the worker that is to stop
    attempt: int = 0  # that it is to stop
    id: str = ""  # given by the store; the message has it too, so that one that comes twice is known
    tries: int = 0  # that were begun


class Changes:
    """Tells of new lines as they are committed."""

    def __init__(self, stream: ChangeStream[Document]) -> None:
        self._stream = stream

    def wait(self, known: set[str]) -> None:
        """Returns when there is a line that isn't ``known``, or after :data:`WAKE_MILLISECONDS`.

        Ids of known lines that it was told of are taken out of the set.
        """
        while (change := self._stream.try_next()) is not None:
            line_id = str(change["documentKey"]["_id"])
            if line_id not in known:
                return
            known.remove(line_id)
        known.clear()  # those were told of before the stream was opened


class Outbox:
    """Lines in the order in which they were written."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._lines: Collection[Document] = database["outbox"]
        # A lease that a crash of the database undoes costs a message that is sent twice; waiting for the disk
        # would cost each message its time.
        self._leases = self._lines.with_options(
            write_concern=WriteConcern(1), read_concern=ReadConcern("local")
        )
        self._clock = clock

    def prepare(self) -> None:
        """Makes the indexes; sent lines are deleted after a month."""
        self._lines.create_index([("state", 1), ("_id", 1)])
        self._lines.create_index(
            [("task_id", 1), ("position", 1)], partialFilterExpression={"state": "waiting"}
        )
        self._lines.create_index([("task_id", 1), ("at", 1)])
        self._lines.create_index("sent_at", expireAfterSeconds=30 * 24 * 3600)

    def add(self, lines: Iterable[OutboxLine], session: Session = None) -> None:
        """Stores lines; in the transaction that changes their tasks, so that they keep the order of it."""
        now = self._clock()
        lines = list(lines)
        positions = self._next_positions({line.task_id for line in lines}, session)
        documents = []
        for line in lines:
            position = positions.get(line.task_id, 0)
            positions[line.task_id] = position + 1
            documents.append(
                {
                    "kind": line.kind.value,
                    "task_id": line.task_id,
                    "position": position,
                    "queue": line.queue,
                    "name": line.name,
                    "message": line.message,
                    "node": line.node,
                    "attempt": line.attempt,
                    "state": "waiting",
                    "at": now,
                    "leased_until": now,
                    "leased_by": None,
                    "tries": 0,
                    "problem": "",
                }
            )
        if documents:
            self._lines.insert_many(documents, session=session)

    def ask_to_stop(self, task_id: str, attempt: int, node: str) -> None:
        """Stores a line for a worker to stop an attempt, unless it was asked a moment ago."""
        same = {"kind": LineKind.STOP.value, "task_id": task_id, "attempt": attempt, "node": node}
        if self._lines.find_one({**same, "at": {"$gt": self._clock() - STOP_AGAIN}}) is None:
            self.add([OutboxLine(LineKind.STOP, task_id, node=node, attempt=attempt)])

    def lease(self, publisher: str, limit: int = BATCH) -> list[OutboxLine]:
        """The oldest lines that nobody else is sending, now leased by ``publisher``.

        A line is given only when all earlier ones of its task are sent, or given with it, before it.
        """
        now = self._clock()
        free = {"state": "waiting", "leased_until": {"$lte": now}}
        seen = list(self._lines.find(free, {"task_id": 1}).sort("_id", 1).limit(limit))
        if not seen:
            return []
        tasks = {document["task_id"]: place for place, document in enumerate(reversed(seen))}
        batch = f"{publisher} {secrets.token_hex(4)}"
        taken = self._leases.update_many(
            {"_id": {"$in": [document["_id"] for document in seen]}, **free},
            {"$set": {"leased_until": now + LEASE, "leased_by": batch}, "$inc": {"tries": 1}},
        )
        if not taken.modified_count:
            return []
        of_tasks = {"state": "waiting", "task_id": {"$in": list(tasks)}}
        held: set[str] = set()
        mine, too_early = [], []
        for document in self._leases.find(of_tasks).sort([("task_id", 1), ("position", 1), ("_id", 1)]):
            if document["leased_by"] != batch:
                held.add(document["task_id"])
            elif document["task_id"] in held:
                too_early.append(document["_id"])
            else:
                mine.append(document)
        if too_early:
            # Looked at again when the one before it may have been sent.
            self._leases.update_many(
                {"_id": {"$in": too_early}, "leased_by": batch},
                {"$set": {"leased_until": now + FIRST_PAUSE}, "$inc": {"tries": -1}},
            )
        # Tasks in the order in which their first lines were written; the lines of each stay in theirs.
        return [_line(document) for document in sorted(mine, key=lambda line: -tasks[line["task_id"]])]

    def mark_sent(self, lines: Sequence[OutboxLine]) -> None:
        """The broker confirmed the lines; that is so whoever has leased them by now."""
        self._lines.update_many(
            {"_id": {"$in": [ObjectId(line.id) for line in lines]}, "state": "waiting"},
            {"$set": {"state": "sent", "sent_at": self._clock(), "problem": ""}},
        )

    def give_back(self, lines: Sequence[OutboxLine], publisher: str) -> None:
        """The lines could not be sent now; anyone may try again at once."""
        self._lines.update_many(_leased(lines, publisher), {"$set": {"leased_until": self._clock()}})

    def postpone(self, line: OutboxLine, publisher: str, problem: str) -> None:
        """The broker refused this line: it is tried again after a pause that grows."""
        pause = min(FIRST_PAUSE * 2 ** min(line.tries, 16), LONGEST_PAUSE)
        self._lines.update_many(
            _leased([line], publisher), {"$set": {"leased_until": self._clock() + pause, "problem": problem}}
        )

    def drop(self, line: OutboxLine, problem: str) -> None:
        """The broker refused this line, and nobody waits for it any more."""
        self._lines.update_one(
            {"_id": ObjectId(line.id), "state": "waiting"},
            {"$set": {"state": "dropped", "sent_at": self._clock(), "problem": problem}},
        )

    def drop_sent_before(self, moment: datetime) -> int:
        """Deletes the lines that were sent before; returns how many."""
        return self._lines.delete_many(
            {"state": {"$ne": "waiting"}, "sent_at": {"$lt": moment}}
        ).deleted_count

    def waiting(self) -> int:
        """How many lines are not sent."""
        return self._lines.count_documents({"state": "waiting"})

    @contextmanager
    def changes(self) -> Iterator[Changes]:
        """New lines from now on."""
        pipeline: list[Document] = [
            {"$match": {"operationType": "insert"}},
            {"$project": {"documentKey": 1}},
        ]
        with self._lines.watch(pipeline, max_await_time_ms=WAKE_MILLISECONDS) as stream:
            yield Changes(stream)

    def _next_positions(self, task_ids: Iterable[str], session: Session) -> dict[str, int]:
        found = self._lines.find(
            {"state": "waiting", "task_id": {"$in": list(task_ids)}},
            {"task_id": 1, "position": 1},
            session=session,
        )
        positions: dict[str, int] = {}
        for document in found:
            task_id = document["task_id"]
            positions[task_id] = max(positions.get(task_id, 0), document["position"] + 1)
        return positions


def _leased(lines: Sequence[OutboxLine], publisher: str) -> Document:
    return {
        "_id": {"$in": [ObjectId(line.id) for line in lines]},
        "state": "waiting",
        "leased_by": {"$regex": f"^{publisher} "},
    }


def _line(document: Document) -> OutboxLine:
    return OutboxLine(
        id=str(document["_id"]),
        kind=LineKind(document["kind"]),
        task_id=document["task_id"],
        queue=document["queue"],
        name=document["name"],
        message=document["message"],
        node=document["node"],
        attempt=document["attempt"],
        tries=document["tries"],
    )
