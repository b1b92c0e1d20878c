"""The document that lets one process at a time hand out work, and nobody's request be missed.

Each who sees that there may be work to hand out asks. Whoever finds no round running takes one; the others go
on, since the round that runs is followed by another when it was asked for meanwhile. A process that dies in a
round leaves it to whoever asks after :data:`ROUND`.
"""

from __future__ import annotations

from datetime import timedelta

from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from scheduler.store.database import Clock, Collection, Database, Document, Session

ROUND = timedelta(seconds=10)
"""How long a round may take before another process may take its place."""

_ASKED = "asked"
_ROUND = "round"
"""Two documents, since the second is part of a transaction, and asking must not wait for its end."""


class Rounds:
    """Rounds of dispatching, in the collection ``rounds``."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._rounds: Collection[Document] = database["rounds"]
        # Each order asks, and would wait for the disk. What a crash of the database undoes here is asked
        # again by beat.
        self._quickly = self._rounds.with_options(
            write_concern=WriteConcern(1), read_concern=ReadConcern("local")
        )
        self._clock = clock

    def prepare(self) -> None:
        """Makes the documents."""
        round_ = {"served": 0, "holder": None, "held_until": self._clock()}
        self._rounds.update_one({"_id": _ASKED}, {"$setOnInsert": {"count": 0}}, upsert=True)
        self._rounds.update_one({"_id": _ROUND}, {"$setOnInsert": round_}, upsert=True)

    def ask(self) -> None:
        """There may be something to hand out."""
        self._quickly.update_one({"_id": _ASKED}, {"$inc": {"count": 1}})

    def take(self, holder: str) -> int | None:
        """Begins a round; None when nobody asked since the last one, or when one is running.

        Returns:
            What :meth:`serve` is to be told: the requests that this round answers.
        """
        now = self._clock()
        known = {document["_id"]: document for document in self._quickly.find()}
        count = int(known[_ASKED]["count"]) if _ASKED in known else 0
        round_ = known.get(_ROUND)
        if round_ is None or round_["served"] == count or (round_["holder"] and round_["held_until"] > now):
            # Seen without the wait for a majority: who holds the round looks again after its end.
            return None
        free = {"$or": [{"holder": None}, {"held_until": {"$lte": now}}]}
        # With a majority: the round's transaction reads what is durable, and must see who holds the round.
        taken = self._rounds.find_one_and_update(
            # Not "less than": after a crash of the database fewer requests may be known than were served.
            {"_id": _ROUND, "served": {"$ne": count}, **free},
            {"$set": {"holder": holder, "held_until": now + ROUND}},
        )
        return None if taken is None else count

    def exclude(self, session: Session) -> None:
        """Makes a change of who takes work and a round happen one after the other, not both at once."""
        self._rounds.update_one({"_id": _ROUND}, {"$inc": {"excluded": 1}}, session=session)

    def serve(self, holder: str, asked: int, session: Session) -> bool:
        """Ends the round as a part of its transaction; False when another process took its place."""
        ended = self._rounds.update_one(
            {"_id": _ROUND, "holder": holder}, {"$set": {"served": asked, "holder": None}}, session=session
        )
        return ended.matched_count == 1
