"""Catalogues: the feeds that contents are chosen from, and what they list."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Paged, Told
from scheduler.domain import catalogue as rules
from scheduler.domain.rights import Right
from scheduler.shop.catalogue import refresh
from scheduler.store import catalogue as store


class GivenCatalogue(Given):
    """A feed to add."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    url: str = Field(
        pattern=r"^https?://[^\s]+$", max_length=2000, description="of an OPDS v2 feed of entries"
    )


class Catalogue(Told):
    """A feed, and how its last reading went."""

    name: str
    url: str
    entries: int
    bad_entries: int
    refreshed_at: Moment | None
    problem: str | None  # why the last reading failed; the entries are those of the one before

    @classmethod
    def of(cls, catalogue: store.Catalogue) -> Catalogue:
        """The catalogue as told."""
        return cls(
            name=catalogue.name,
            url=catalogue.url,
            entries=catalogue.entries,
            bad_entries=catalogue.bad_entries,
            refreshed_at=catalogue.refreshed_at,
            problem=catalogue.problem,
        )


class EntryQuery(Paged):
    """Which entries."""

    lang: str = Field(default="", max_length=20, description="ISO 639-3, as the catalogue writes it")
    q: str = Field(default="", max_length=100, description="a part of title, summary or ident")
    catalogue: str = Field(default="", max_length=64)


class Entry(Told):
    """A content that a catalogue lists; one with a problem can't be ordered."""

    ident: str
    title: str
    summary: str
    language: str
    category: str
    size_bytes: int  # rounded by the feed; exact sizes come with the order
    updated: str
    illustration_url: str | None
    catalogue: str
    problem: str | None

    @classmethod
    def of(cls, entry: rules.Entry) -> Entry:
        """The entry as told."""
        return cls(
            ident=entry.ident,
            title=entry.title,
            summary=entry.summary,
            language=entry.language,
            category=entry.category,
            size_bytes=entry.size_bytes,
            updated=entry.updated,
            illustration_url=entry.illustration_url,
            catalogue=entry.catalogue,
            problem=entry.problem,
        )


class CatalogueList(Resource):
    """``/v1/catalogues``."""

    @operation("List the catalogues", Right.READ_CATALOGUE, answer=Listed[Catalogue])
    def get(self) -> Listed[Catalogue]:
        """Every catalogue, by name."""
        catalogues = [Catalogue.of(catalogue) for catalogue in self.services.store.catalogue.every()]
        return Listed[Catalogue](items=catalogues, total=len(catalogues))

    @operation("Add a catalogue", Right.MANAGE_CATALOGUES, body=GivenCatalogue, answer=Catalogue, status=201)
    def post(self, body: GivenCatalogue) -> Catalogue:
        """The catalogue, not yet read."""
        return Catalogue.of(self.services.store.catalogue.add(body.name, body.url))


class CatalogueRefreshes(Resource):
    """``/v1/catalogues/{name}/refreshes``."""

    @operation("Read a catalogue anew", Right.REFRESH_CATALOGUE, answer=Catalogue, status=201)
    def post(self, name: str) -> Catalogue:
        """The catalogue with the number of its entries; a feed that can't be read keeps the old ones."""
        return Catalogue.of(refresh(self.services.store, self.services.web, name))


class EntryList(Resource):
    """``/v1/catalogue/entries``."""

    @operation("Find contents", Right.READ_CATALOGUE, query=EntryQuery, answer=Listed[Entry])
    def get(self, query: EntryQuery) -> Listed[Entry]:
        """Entries of all catalogues, by title."""
        entries, total = self.services.store.catalogue.page(
            language=query.lang,
            q=query.q,
            catalogue=query.catalogue,
            skip=query.skip,
            limit=query.per_page,
        )
        return Listed[Entry](items=[Entry.of(entry) for entry in entries], total=total)
