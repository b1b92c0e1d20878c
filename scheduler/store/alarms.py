"""The collection ``alarms``. A unique key of the open ones lets each be raised once, by who sees it first."""

from __future__ import annotations

from scheduler.domain.alarms import Alarm, AlarmKind
from scheduler.store.database import Clock, Collection, Database, Document, Session

KEPT_SECONDS = 365 * 24 * 3600
"""An alarm that has ended is dropped after this long."""


class Alarms:
    """Alarms, newest first."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._alarms: Collection[Document] = database["alarms"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._alarms.create_index(
            "open_key", unique=True, partialFilterExpression={"open_key": {"$type": "string"}}
        )
        self._alarms.create_index("ended_at", expireAfterSeconds=KEPT_SECONDS)

    def raise_once(self, kind: AlarmKind, subject: str, sentence: str, session: Session = None) -> bool:
        """Opens an alarm; False when it is open already."""
        key = _key(kind, subject)
        # Without the type the partial index could not be used, and the key would not be unique.
        done = self._alarms.update_one(
            {"open_key": {"$eq": key, "$type": "string"}},
            {
                "$setOnInsert": {
                    "open_key": key,
                    "kind": kind.value,
                    "subject": subject,
                    "sentence": sentence,
                    "raised_at": self._clock(),
                    "ended_at": None,
                }
            },
            upsert=True,
            session=session,
        )
        return done.upserted_id is not None

    def end(self, kind: AlarmKind, subject: str, session: Session = None) -> bool:
        """Ends the open alarm; False when there is none."""
        ended = self._alarms.update_one(
            {"open_key": {"$eq": _key(kind, subject), "$type": "string"}},
            {"$set": {"ended_at": self._clock()}, "$unset": {"open_key": ""}},
            session=session,
        )
        return ended.modified_count == 1

    def is_open(self, kind: AlarmKind, subject: str) -> bool:
        """Whether an alarm is open; it may be another moment later."""
        key = {"$eq": _key(kind, subject), "$type": "string"}
        return self._alarms.find_one({"open_key": key}, {"_id": 1}) is not None

    def page(self, *, open_only: bool, skip: int = 0, limit: int = 50) -> tuple[list[Alarm], int]:
        """Alarms, newest first, and how many there are."""
        query: Document = {"open_key": {"$type": "string"}} if open_only else {}
        found = self._alarms.find(query).sort("_id", -1).skip(skip).limit(limit)
        return [_alarm(document) for document in found], self._alarms.count_documents(query)

    def open_subjects(self, kind: AlarmKind) -> set[str]:
        """Whom an alarm of this kind is open for."""
        found = self._alarms.find({"open_key": {"$type": "string"}, "kind": kind.value}, {"subject": 1})
        return {document["subject"] for document in found}


def _key(kind: AlarmKind, subject: str) -> str:
    return f"{kind.value} {subject}"


def _alarm(document: Document) -> Alarm:
    return Alarm(
        id=str(document["_id"]),
        kind=AlarmKind(document["kind"]),
        subject=document["subject"],
        sentence=document["sentence"],
        raised_at=document["raised_at"],
        ended_at=document["ended_at"],
    )
