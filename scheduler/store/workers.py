"""The collection ``workers``: creators and writers as their events show them, with their slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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


class Workers:
    """Workers by user name."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._workers: Collection[Document] = database["workers"]
        self._clock = clock

    def seen(self, username: str, kind: str, hostname: str, *, online: bool) -> None:
        """An event of the worker arrived."""
        self._workers.update_one(
            {"_id": username},
            {
                "$set": {
                    "kind": kind,
                    "hostname": hostname,
                    "online": online,
                    "last_seen": self._clock(),
                },
                "$setOnInsert": {"slots": {}},
            },
            upsert=True,
        )

    def slot_changed(self, username: str, slot: str, card: Mapping[str, Any] | None, at: datetime) -> None:
        """A card came into a slot or left it; an event older than the last one about the slot is ignored."""
        self._workers.update_one(
            {
                "_id": username,
                "$or": [{f"slots.{slot}.at": {"$lt": at}}, {f"slots.{slot}": {"$exists": False}}],
            },
            {"$set": {f"slots.{slot}": {"slot": slot, "card": card, "at": at}}},
        )

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
