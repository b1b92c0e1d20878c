"""Media: the kinds of cards that can be ordered."""

from __future__ import annotations

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from cardshop.contract.errors import Conflict
from scheduler.domain.media import Medium
from scheduler.store.database import Database, Document


class Media:
    """The collection ``media``; ``_id`` is the name."""

    def __init__(self, database: Database[Document]) -> None:
        self._media = database["media"]

    def add(self, medium: Medium) -> None:
        """Adds a medium. Raises Conflict when the name is taken."""
        document = {"_id": medium.name, "nominal_gb": medium.nominal_gb, "size_bytes": medium.size_bytes}
        try:
            self._media.insert_one(document)
        except DuplicateKeyError:
            raise Conflict(f"There is a medium {medium.name} already.", field="name") from None

    def find(self, name: str) -> Medium | None:
        """The medium of that name."""
        document = self._media.find_one({"_id": name})
        return _medium(document) if document else None

    def every(self) -> list[Medium]:
        """Every medium, smallest first."""
        return [_medium(document) for document in self._media.find().sort("size_bytes", ASCENDING)]


def _medium(document: Document) -> Medium:
    return Medium(document["_id"], document["nominal_gb"], document["size_bytes"])
