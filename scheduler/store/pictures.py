"""Pictures of recipes' branding, named by their bytes: many recipes share one, and an order keeps its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime

from cardshop.contract.errors import NotFound
from scheduler.store.database import Clock, Database, Document


class Pictures:
    """The collection ``pictures``; ``_id`` is the SHA-256."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._pictures = database["pictures"]
        self._clock = clock

    def keep(self, png: bytes) -> str:
        """Keeps a picture, once; its name."""
        name, now = hashlib.sha256(png).hexdigest(), self._clock()
        document = {"$set": {"asked_at": now}, "$setOnInsert": {"png": png, "created_at": now}}
        self._pictures.update_one({"_id": name}, document, upsert=True)
        return name

    def is_kept(self, name: str) -> bool:
        """Whether there is a picture of that name; from now on it counts as new, for who is to use it."""
        found = self._pictures.update_one({"_id": name}, {"$set": {"asked_at": self._clock()}})
        return found.matched_count > 0

    def drop_unused(self, used: Collection[str], moment: datetime) -> int:
        """Drops those that are not among ``used`` and were not asked for since ``moment``; how many."""
        old = {"created_at": {"$lt": moment}, "asked_at": {"$not": {"$gte": moment}}}
        return self._pictures.delete_many({"_id": {"$nin": list(used)}, **old}).deleted_count

    def get(self, name: str) -> bytes:
        """The picture of that name, a PNG. Raises NotFound."""
        document = self._pictures.find_one({"_id": name})
        if document is None:
            raise NotFound(f"There is no picture {name}.")
        return bytes(document["png"])
