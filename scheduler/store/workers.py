"""The collection ``workers``: creators and writers as their events show them, with their slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from scheduler.store.database import Clock, Collection, Database, Document, Session

SILENT_AFTER = timedelta(seconds=90)
"""A worker sends a heartbeat every few seconds; without one for this long it is silent."""


@dataclass(frozen=True)
class Worker:
    """A worker that was heard of."""

    username: str
    kind: str  # its account's role
    hostname: str
    state: str  # "online", "offline" (said so) or "silent"
    last_seen: datetime
    slots: tuple[Mapping[str, Any], ...]  # {"slot", "card": {"serial", "size_bytes"} or None, "at"}


@dataclass(frozen=True)
class WorkerSeen:
    """What an event tells of its worker."""

    username: str
    kind: str  # its account's role
    hostname: str
    online: bool  # False: it says that it ends


@dataclass(frozen=True)
class SlotSeen:
    """What an event tells of a slot."""

    username: str  # of the writer
    slot: str
    card: Mapping[str, Any] | None
    at: datetime  # by the writer's clock


class Workers:
    """Workers by user name."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._workers: Collection[Document] = database["workers"]
        self._clock = clock

    def seen(self, username: str, kind: str, hostname: str, *, online: bool) -> None:
        """An event of the worker arrived."""
        self.seen_all([WorkerSeen(username, kind, hostname, online)])

    def seen_all(self, workers: Iterable[WorkerSeen]) -> None:
        """Events of the workers arrived."""
        now = self._clock()
        updates = [
            UpdateOne(
                {"_id": worker.username},
                {
                    "$set": {
                        "kind": worker.kind,
                        "hostname": worker.hostname,
                        "online": worker.online,
                        "last_seen": now,
                    },
                    "$setOnInsert": {"slots": {}},
                },
                upsert=True,
            )
            for worker in workers
        ]
        if updates:
            self._workers.bulk_write(updates, ordered=False)

    def slots_changed(self, slots: Iterable[SlotSeen]) -> None:
        """Cards came into slots or left them; what is older than what is known of its slot is ignored."""
        updates = [
            UpdateOne(
                {
                    "_id": seen.username,
                    "$or": [
                        {f"slots.{seen.slot}.at": {"$lt": seen.at}},
                        {f"slots.{seen.slot}": {"$exists": False}},
                    ],
                },
                {"$set": {f"slots.{seen.slot}": {"slot": seen.slot, "card": seen.card, "at": seen.at}}},
            )
            for seen in slots
        ]
        if updates:
            self._workers.bulk_write(updates)

    def every(self, session: Session = None) -> list[Worker]:
        """All workers by name."""
        now = self._clock()
        return [_worker(document, now) for document in self._workers.find(session=session).sort("_id", 1)]


def _worker(document: Document, now: datetime) -> Worker:
    state = "online" if document["online"] else "offline"
    if document["online"] and now - document["last_seen"] > SILENT_AFTER:
        state = "silent"
    return Worker(
        username=document["_id"],
        kind=document["kind"],
        hostname=document["hostname"],
        state=state,
        last_seen=document["last_seen"],
        slots=tuple(document["slots"][name] for name in sorted(document["slots"])),
    )
