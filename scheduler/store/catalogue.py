"""Catalogues (OPDS feeds) and the entries that they listed when last read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from pymongo import ASCENDING
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from cardshop.contract.errors import Conflict, NotFound
from scheduler.domain.catalogue import Entry
from scheduler.store.database import Clock, Database, Document, in_transaction


@dataclass(frozen=True)
class Catalogue:
    """A feed that contents are chosen from."""

    name: str
    url: str
    entries: int
    bad_entries: int
    refreshed_at: datetime | None
    problem: str | None  # why the last refresh failed; the entries are those of the one before
    etag: str | None
    modified: str | None  # the feed's Last-Modified


class CatalogueStore:
    """The collections ``catalogues`` and ``catalogue_entries``."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._database = database
        self._catalogues = database["catalogues"]
        self._entries = database["catalogue_entries"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._entries.create_index([("ident", ASCENDING)])
        self._entries.create_index([("catalogue", ASCENDING)])

    def add(self, name: str, url: str) -> Catalogue:
        """Registers a feed. Raises Conflict when the name is taken."""
        catalogue = Catalogue(name, url, 0, 0, None, None, None, None)
        document = asdict(catalogue)
        document["_id"] = document.pop("name")
        try:
            self._catalogues.insert_one(document)
        except DuplicateKeyError:
            raise Conflict(f"There is a catalogue {name} already.", field="name") from None
        return catalogue

    def get(self, name: str) -> Catalogue:
        """The catalogue of that name. Raises NotFound."""
        document = self._catalogues.find_one({"_id": name})
        if document is None:
            raise NotFound(f"There is no catalogue {name}.")
        return _catalogue(document)

    def every(self) -> list[Catalogue]:
        """Every catalogue, by name."""
        return [_catalogue(document) for document in self._catalogues.find().sort("_id", ASCENDING)]

    def set_url(self, name: str, url: str) -> None:
        """Changes where a feed is; it is read whole the next time."""
        self._catalogues.update_one({"_id": name}, {"$set": {"url": url, "etag": None, "modified": None}})

    def replace_entries(
        self, name: str, entries: Sequence[Entry], *, etag: str | None, modified: str | None
    ) -> None:
        """Puts what the feed lists now in the place of what it listed, for readers at one moment."""
        now = self._clock()
        bad = sum(entry.problem is not None for entry in entries)
        summary = {"entries": len(entries) - bad, "bad_entries": bad, "etag": etag, "modified": modified}

        def change(session: ClientSession) -> None:
            self._entries.delete_many({"catalogue": name}, session=session)
            if entries:
                documents = [asdict(entry) for entry in entries]
                self._entries.insert_many(documents, session=session)
            self._catalogues.update_one(
                {"_id": name}, {"$set": {**summary, "refreshed_at": now, "problem": None}}, session=session
            )

        in_transaction(self._database, change)

    def note_unchanged(self, name: str) -> None:
        """The feed was asked and has nothing new."""
        self._catalogues.update_one({"_id": name}, {"$set": {"refreshed_at": self._clock(), "problem": None}})

    def note_problem(self, name: str, problem: str) -> None:
        """The feed could not be read."""
        self._catalogues.update_one({"_id": name}, {"$set": {"problem": problem}})

    def best_entries(self, idents: Iterable[str]) -> dict[str, Entry]:
        """What the catalogues list under each ident: the newest good entry, else the newest bad one."""
        best: dict[str, Entry] = {}
        for document in self._entries.find({"ident": {"$in": list(idents)}}).sort("updated", -1):
            entry = _entry(document)
            known = best.get(entry.ident)
            if known is None or (known.problem and not entry.problem):
                best[entry.ident] = entry
        return best

    def idents_at(self, endings: Iterable[str]) -> tuple[str, ...]:
        """The idents of the entries whose address ends so."""
        pattern = f"({'|'.join(re.escape(ending) for ending in endings)})$"
        return tuple(sorted(self._entries.distinct("ident", {"url": {"$regex": pattern}})))

    def page(
        self, *, language: str, q: str, catalogue: str, skip: int, limit: int
    ) -> tuple[list[Entry], int]:
        """Entries by title, and how many there are; ``q`` is a part of title, summary or ident."""
        which: Document = {}
        if language:
            which["language"] = {"$regex": rf"(^|,){re.escape(language)}(,|$)"}
        if catalogue:
            which["catalogue"] = catalogue
        if q:
            pattern = {"$regex": re.escape(q), "$options": "i"}
            which["$or"] = [{field: pattern} for field in ("title", "summary", "ident")]
        found = self._entries.find(which).sort([("title", ASCENDING), ("_id", ASCENDING)])
        entries = [_entry(document) for document in found.skip(skip).limit(limit)]
        return entries, self._entries.count_documents(which)


def _catalogue(document: Document) -> Catalogue:
    return Catalogue(name=document.pop("_id"), **document)


def _entry(document: Document) -> Entry:
    del document["_id"]
    return Entry(**document)
