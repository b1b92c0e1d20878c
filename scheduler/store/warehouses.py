"""Warehouses: where images are kept, and how workers reach them."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo import ASCENDING

from scheduler.store.database import Database, Document


@dataclass(frozen=True)
class Warehouse:
    """An FTPS server of ours."""

    name: str
    host: str
    port: int


class Warehouses:
    """The collection ``warehouses``; ``_id`` is the name."""

    def __init__(self, database: Database[Document]) -> None:
        self._warehouses = database["warehouses"]

    def put(self, warehouse: Warehouse) -> None:
        """Adds a warehouse or changes its address."""
        self._warehouses.replace_one(
            {"_id": warehouse.name},
            {"_id": warehouse.name, "host": warehouse.host, "port": warehouse.port},
            upsert=True,
        )

    def find(self, name: str) -> Warehouse | None:
        """The warehouse of that name."""
        document = self._warehouses.find_one({"_id": name})
        return _warehouse(document) if document else None

    def every(self) -> list[Warehouse]:
        """Every warehouse, by name; new images go to the first."""
        return [_warehouse(document) for document in self._warehouses.find().sort("_id", ASCENDING)]


def _warehouse(document: Document) -> Warehouse:
    return Warehouse(document["_id"], document["host"], document["port"])
