"""The collection ``images``: what the warehouse keeps, by the digest that names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from scheduler.domain.states import IMAGE_TABLE, ImageEvent, ImageState
from scheduler.domain.tasks import Change
from scheduler.store.database import Clock, Collection, Database, Document, Session, plain

CHANGES_KEPT = 50
"""Of an image's history."""


class Images:
    """Images by digest."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._images: Collection[Document] = database["images"]
        self._clock = clock

    def keep(
        self, outcome: Mapping[str, Any], warehouse: str, session: Session = None, *, who: str = "creator"
    ) -> None:
        """The image of a create task's outcome is in the warehouse; ``who`` brought it."""
        fields = {key: value for key, value in outcome.items() if key != "image_digest"}
        fields |= {"warehouse": warehouse, "at": self._clock()}
        self._change(outcome["image_digest"], ImageEvent.KEEP, who, fields, session)

    def kept(self, digest: str, session: Session = None) -> Document | None:
        """The outcome of the task that built the image, when it is still kept."""
        image = self._images.find_one({"_id": digest, "state": "kept"}, session=session)
        return None if image is None else _outcome(image)

    def use(self, digest: str, session: Session = None) -> Document | None:
        """As :meth:`kept`, for who relies on it: a deletion at the same moment is in the way of that."""
        self._images.update_one(
            {"_id": digest, "state": "kept"}, {"$set": {"used_at": self._clock()}}, session=session
        )
        return self.kept(digest, session)

    def unused_since(self, moment: datetime) -> list[str]:
        """Digests of the kept images that nobody brought or used since."""
        return [image["_id"] for image in self._images.find({"state": "kept", **_unused(moment)}, {"_id": 1})]

    def give_up(self, digest: str, moment: datetime, session: Session) -> bool:
        """From now on nobody may rely on the image; False when it was used since ``moment``."""
        fields = {"given_up_at": self._clock()}
        return self._change(digest, ImageEvent.DELETE, "beat", fields, session, only=_unused(moment))

    def deleting(self) -> list[str]:
        """Digests of the images that the warehouse is to delete."""
        return [image["_id"] for image in self._images.find({"state": "deleting"}, {"_id": 1})]

    def state(self, digest: str, session: Session = None) -> str | None:
        """Where the image is; None when it was never kept."""
        image = self._images.find_one({"_id": digest}, {"state": 1}, session=session)
        return image["state"] if image else None

    def manifest_sha256(self, digest: str) -> str | None:
        """Of the image's manifest, when it was kept last; None when it never was."""
        image = self._images.find_one({"_id": digest}, {"manifest_sha256": 1})
        return image["manifest_sha256"] if image else None

    def deleted(self, digest: str, session: Session) -> None:
        """The warehouse has it no more."""
        self._change(digest, ImageEvent.DELETED, "warehouse", {}, session)

    def use_all(self, digests: Iterable[str], session: Session) -> dict[str, Document]:
        """As :meth:`use`, for several: the outcomes of those of them that are kept, by digest.

        Part of a transaction: a deletion that it doesn't see yet is in the way of it.
        """
        found = self._images.find({"_id": {"$in": sorted(digests)}, "state": "kept"}, session=session)
        kept = {image["_id"]: _outcome(image) for image in found}
        if kept:
            self._images.update_many(
                {"_id": {"$in": sorted(kept)}}, {"$set": {"used_at": self._clock()}}, session=session
            )
        return kept

    def lose(self, digest: str, seen_at: datetime | None, session: Session) -> None:
        """The warehouse does not keep the image, unless it was built anew after ``seen_at``."""
        seen = {"at": {"$lte": seen_at or self._clock()}}
        self._change(digest, ImageEvent.LOSE, "warehouse", {"deleted_at": self._clock()}, session, only=seen)

    def every(self) -> list[Document]:
        """All images, newest first, as documents with ``digest``."""
        return [{"digest": image.pop("_id"), **image} for image in self._images.find().sort("at", -1)]

    def _change(
        self,
        digest: str,
        event: ImageEvent,
        who: str,
        fields: Document,
        session: Session,
        *,
        only: Document | None = None,
    ) -> bool:
        """Moves an image as its table allows, in one operation that keeps the change; False when it doesn't.

        An image that isn't known yet can be kept, and nothing else.
        """
        for state, after in _moves(event).items():
            line = Change(self._clock(), who, event, state, after, "")
            moved = self._images.update_one(
                {"_id": digest, "state": state.value, **(only or {})},
                {
                    "$set": {**fields, "state": after.value},
                    "$push": {"history": {"$each": [plain(line)], "$slice": -CHANGES_KEPT}},
                },
                session=session,
            )
            if moved.matched_count:
                return True
        if event is not ImageEvent.KEEP:
            return False
        line = Change(self._clock(), who, event, "", ImageState.KEPT, "")
        known = self._images.update_one(
            {"_id": digest},
            {"$setOnInsert": {**fields, "state": ImageState.KEPT.value, "history": [plain(line)]}},
            upsert=True,
            session=session,
        )
        return known.upserted_id is not None


def _moves(event: ImageEvent) -> dict[ImageState, ImageState]:
    """From where an event moves an image, and to where."""
    return {state: after for (state, allowed), after in IMAGE_TABLE.items() if allowed is event}


def _outcome(image: Document) -> Document:
    names = ("size_bytes", "mapped_bytes", "manifest_sha256", "seconds")
    facts = {name: image[name] for name in names}
    return {"image_digest": image["_id"], **facts, "documents": image.get("documents", [])}


def _unused(moment: datetime) -> Document:
    # An image that was never used has no such moment, which equals None.
    return {"at": {"$lt": moment}, "$or": [{"used_at": None}, {"used_at": {"$lt": moment}}]}
