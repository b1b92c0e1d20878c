"""Refresh tokens: stored hashed, used once, kept in families that end as one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from scheduler.store.database import Clock, Database, Document, Session, in_transaction


class Redeemed(StrEnum):
    """What became of a refresh token that was shown."""

    GOOD = "good"  # its first use; the family goes on
    REUSED = "reused"  # used before: the family has ended now
    DEAD = "dead"  # unknown, expired, or its family has ended


class Tokens:
    """The collection ``refresh_tokens``: one document a token, ``_id`` is the token's hash."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._database = database
        self._tokens = database["refresh_tokens"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below; a token's document goes when it expires."""
        self._tokens.create_index([("family", ASCENDING)])
        self._tokens.create_index([("username", ASCENDING)])
        self._tokens.create_index("expires_at", expireAfterSeconds=0)

    def add(
        self,
        token_hash: str,
        *,
        family: str,
        username: str,
        expires_at: datetime,
        session: Session = None,
    ) -> None:
        """Keeps a new token."""
        self._tokens.insert_one(
            {
                "_id": token_hash,
                "family": family,
                "username": username,
                "issued_at": self._clock(),
                "expires_at": expires_at,
                "used_at": None,
                "ended_at": None,
            },
            session=session,
        )

    def redeem(self, token_hash: str, *, successor: str, expires_at: datetime) -> tuple[Redeemed, str, str]:
        """Uses a token and adds its successor.

        Returns what became of it, its family and its user ("" when unknown).

        Two who show the same token at once: one gets GOOD, the other REUSED, which ends the successor too:
        the two changes are one, so that an end of the family comes before both or after both.
        """
        now = self._clock()
        fresh = {"_id": token_hash, "used_at": None, "ended_at": None, "expires_at": {"$gt": now}}

        def work(session: ClientSession) -> Document | None:
            found: Document | None = self._tokens.find_one_and_update(
                fresh, {"$set": {"used_at": now}}, session=session
            )
            if found is not None:
                family, username = found["family"], found["username"]
                self.add(successor, family=family, username=username, expires_at=expires_at, session=session)
            return found

        document = in_transaction(self._database, work)
        if document is not None:
            return Redeemed.GOOD, document["family"], document["username"]
        document = self._tokens.find_one({"_id": token_hash})
        if document is None:
            return Redeemed.DEAD, "", ""
        if document["used_at"] is None or document["ended_at"] is not None:
            return Redeemed.DEAD, document["family"], document["username"]
        self.end_family(document["family"])
        return Redeemed.REUSED, document["family"], document["username"]

    def end_token(self, token_hash: str) -> None:
        """Ends the family of a token; one that is unknown changes nothing."""
        document = self._tokens.find_one({"_id": token_hash})
        if document is not None:
            self.end_family(document["family"])

    def end_family(self, family: str) -> None:
        """Ends every token of the family."""
        self._end({"family": family})

    def end_all_of(self, username: str) -> None:
        """Ends every token of the user."""
        self._end({"username": username})

    def is_live(self, family: str) -> bool:
        """Whether the family has not ended."""
        return self._tokens.find_one({"family": family, "ended_at": None}) is not None

    def _end(self, which: Document) -> None:
        self._tokens.update_many({**which, "ended_at": None}, {"$set": {"ended_at": self._clock()}})
