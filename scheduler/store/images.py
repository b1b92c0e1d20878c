"""The collection ``images``: what the warehouse keeps, by the digest that names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.store.database import Clock, Collection, Database, Document, Session


class Images:
    """Images by digest."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._images: Collection[Document] = database["images"]
        self._clock = clock

    def keep(self, outcome: Mapping[str, Any], warehouse: str, session: Session = None) -> None:
        """The image of a create task's outcome is in the warehouse."""
        fields = {key: value for key, value in outcome.items() if key != "image_digest"}
        self._images.update_one(
            {"_id": outcome["image_digest"]},
            {"$set": {**fields, "warehouse": warehouse, "state": "kept", "at": self._clock()}},
            upsert=True,
            session=session,
        )

    def kept(self, digest: str, session: Session = None) -> Document | None:
        """The outcome of the task that built the image, when it is still kept."""
        image = self._images.find_one({"_id": digest, "state": "kept"}, session=session)
        if image is None:
            return None
        names = ("size_bytes", "mapped_bytes", "manifest_sha256", "seconds")
        return {"image_digest": digest, **{name: image[name] for name in names}}

    def use(self, digest: str, session: Session) -> Document | None:
        """As :meth:`kept`, for who relies on it: a deletion at the same moment is in the way of that."""
        self._images.update_one(
            {"_id": digest, "state": "kept"}, {"$set": {"used_at": self._clock()}}, session=session
        )
        return self.kept(digest, session)

    def every(self) -> list[Document]:
        """All images, newest first, as documents with ``digest``."""
        return [{"digest": image.pop("_id"), **image} for image in self._images.find().sort("at", -1)]
