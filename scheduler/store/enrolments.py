"""The collection ``enrolments``; ``_id`` is the hash of the code, which is kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.domain.enrolments import Enrolment
from scheduler.store.database import Clock, Collection, Database, Document, Session, plain


class Enrolments:
    """Codes that were given out."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._enrolments: Collection[Document] = database["enrolments"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._enrolments.create_index("usernames")

    def add(self, code_hash: str, enrolment: Enrolment) -> None:
        """Keeps a new one."""
        self._enrolments.insert_one({"_id": code_hash, **plain(enrolment)})

    def find(self, code_hash: str, session: Session = None) -> Enrolment | None:
        """What the code with this hash is good for."""
        document = self._enrolments.find_one({"_id": code_hash}, session=session)
        return _enrolment(document) if document else None

    def use(self, code_hash: str, usernames: Sequence[str], session: Session) -> bool:
        """Uses a code up; False when somebody else was first."""
        done = self._enrolments.update_one(
            {"_id": code_hash, "used_at": None},
            {"$set": {"used_at": self._clock(), "usernames": list(usernames)}},
            session=session,
        )
        return done.modified_count == 1

    def made(self, host: str, username: str, session: Session) -> bool:
        """Whether the account was made by an enrolment of this host."""
        return self._enrolments.find_one({"usernames": username, "host": host}, session=session) is not None

    def page(self, *, skip: int = 0, limit: int = 50) -> tuple[list[Enrolment], int]:
        """Enrolments, newest first, and how many there are."""
        found = self._enrolments.find().sort("made_at", -1).skip(skip).limit(limit)
        return [_enrolment(document) for document in found], self._enrolments.count_documents({})


def _enrolment(document: Document) -> Enrolment:
    return Enrolment(
        host=document["host"],
        writers=document["writers"],
        made_by=document["made_by"],
        made_at=document["made_at"],
        expires_at=document["expires_at"],
        used_at=document["used_at"],
        usernames=tuple(document["usernames"]),
    )
