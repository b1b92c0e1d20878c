"""The collection ``drains``: which workers took no new work, from when to when, who said so and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scheduler.store.database import Clock, Collection, Database, Document, Session


@dataclass(frozen=True)
class Drain:
    """A time in which a worker took no new work."""

    worker: str  # user name
    who: str
    at: datetime
    why: str
    ended_by: str = ""
    ended_at: datetime | None = None  # None: it still takes none
    ended_why: str = ""


class Drains:
    """Drains; a worker has one that hasn't ended, at most."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._drains: Collection[Document] = database["drains"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._drains.create_index("open", unique=True, partialFilterExpression={"open": {"$type": "string"}})
        self._drains.create_index([("worker", 1), ("at", -1)])

    def begin(self, worker: str, *, who: str, why: str, session: Session) -> bool:
        """The worker takes no new work from now on; False when that is so already."""
        # Without the type the partial index could not be used, and the worker would not be unique.
        begun = self._drains.update_one(
            {"open": {"$eq": worker, "$type": "string"}},
            {
                "$setOnInsert": {
                    "open": worker,
                    "worker": worker,
                    "who": who,
                    "at": self._clock(),
                    "why": why,
                    "ended_by": "",
                    "ended_at": None,
                    "ended_why": "",
                }
            },
            upsert=True,
            session=session,
        )
        return begun.upserted_id is not None

    def end(self, worker: str, *, who: str, why: str, session: Session) -> bool:
        """The worker takes work again; False when it does already."""
        ended = self._drains.update_one(
            {"open": {"$eq": worker, "$type": "string"}},
            {
                "$set": {"ended_by": who, "ended_at": self._clock(), "ended_why": why},
                "$unset": {"open": ""},
            },
            session=session,
        )
        return ended.modified_count == 1

    def now(self, session: Session = None) -> dict[str, Drain]:
        """The workers that take no new work, by user name."""
        found = self._drains.find({"open": {"$type": "string"}}, session=session)
        return {document["worker"]: _drain(document) for document in found}

    def of_worker(self, worker: str, *, limit: int = 50) -> list[Drain]:
        """A worker's drains, the newest first."""
        found = self._drains.find({"worker": worker}).sort("at", -1).limit(limit)
        return [_drain(document) for document in found]


def _drain(document: Document) -> Drain:
    return Drain(**{key: value for key, value in document.items() if key not in ("_id", "open")})
