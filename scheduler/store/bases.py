"""Base images that cards are built from, as their manifests describe them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pymongo import ASCENDING

from scheduler.store.database import Database, Document


@dataclass(frozen=True)
class Base:
    """A base image: the manifest ``NAME.json`` that its build writes."""

    name: str
    architecture: str
    release: str
    built: str  # ISO 8601, UTC
    bytes: int
    sha256: str
    boot_bytes: int
    root_bytes: int
    system: str = "cardshop"  # whose recipes it knows
    data_bytes: int = 0  # of files that it brings to the data partition


class Bases:
    """The collection ``bases``; ``_id`` is the name."""

    def __init__(self, database: Database[Document]) -> None:
        self._bases = database["bases"]

    def put(self, base: Base) -> None:
        """Adds a base, or a newer build of it."""
        document = asdict(base)
        document["_id"] = document.pop("name")
        self._bases.replace_one({"_id": base.name}, document, upsert=True)

    def find(self, name: str) -> Base | None:
        """The base of that name."""
        document = self._bases.find_one({"_id": name})
        return _base(document) if document else None

    def every(self) -> list[Base]:
        """Every base, by name."""
        return [_base(document) for document in self._bases.find().sort("_id", ASCENDING)]


def _base(document: Document) -> Base:
    return Base(name=document.pop("_id"), **document)
