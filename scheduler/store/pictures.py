"""Pictures of recipes' branding, named by their bytes: many recipes share one, and an order keeps its own."""

from __future__ import annotations

import hashlib

from cardshop.contract.errors import NotFound
from scheduler.store.database import Clock, Database, Document


class Pictures:
    """The collection ``pictures``; ``_id`` is the SHA-256."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._pictures = database["pictures"]
        self._clock = clock

    def keep(self, png: bytes) -> str:
        """Keeps a picture, once; its name."""
        name = hashlib.sha256(png).hexdigest()
        document = {"png": png, "created_at": self._clock()}
        self._pictures.update_one({"_id": name}, {"$setOnInsert": document}, upsert=True)
        return name

    def has(self, name: str) -> bool:
        """Whether there is a picture of that name."""
        return self._pictures.count_documents({"_id": name}, limit=1) > 0

    def get(self, name: str) -> bytes:
        """The picture of that name, a PNG. Raises NotFound."""
        document = self._pictures.find_one({"_id": name})
        if document is None:
            raise NotFound(f"There is no picture {name}.")
        return bytes(document["png"])
