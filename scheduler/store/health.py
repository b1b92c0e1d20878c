"""The collection ``health``: when each service last did its work, not only that it is alive."""

from __future__ import annotations

from datetime import datetime

from scheduler.store.database import Clock, Collection, Database, Document


class Health:
    """The last moment of each kind of work."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._health: Collection[Document] = database["health"]
        self._clock = clock

    def did(self, work: str) -> None:
        """The work was done just now (``event-folded``, ``outbox-sent``, ``schedule-run``)."""
        self._health.update_one({"_id": work}, {"$set": {"at": self._clock()}}, upsert=True)

    def every(self) -> dict[str, datetime]:
        """When each was last done."""
        return {document["_id"]: document["at"] for document in self._health.find()}
