"""Catalogues: read again, and the exact file behind an entry."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog

from cardshop import metalink
from cardshop.contract.errors import MirrorRefused
from scheduler.catalogue import opds
from scheduler.catalogue.web import Web
from scheduler.domain.catalogue import Entry, FileFacts
from scheduler.store.catalogue import Catalogue
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

MOST_PAGES = 1000


def refresh(store: Store, web: Web, name: str) -> Catalogue:
    """Reads the catalogue's feed, all pages; what it lists then takes the place of what it listed.

    Raises:
        NotFound: there is no such catalogue.
        MirrorRefused: the feed can't be read; its entries stay, and it says why.
    """
    catalogue = store.catalogue.get(name)
    try:
        first = web.get(catalogue.url, etag=catalogue.etag, modified=catalogue.modified)
        if first.body is None:
            store.catalogue.note_unchanged(name)
            return store.catalogue.get(name)
        entries = _all_entries(web, name, first.url, first.body)
    except MirrorRefused as error:
        store.catalogue.note_problem(name, error.sentence)
        raise
    store.catalogue.replace_entries(name, entries, etag=first.etag, modified=first.modified)
    refreshed = store.catalogue.get(name)
    log.info("catalogue read", catalogue=name, entries=refreshed.entries, bad_entries=refreshed.bad_entries)
    return refreshed


def refresh_all(store: Store, web: Web) -> int:
    """Reads every catalogue; one that fails keeps its problem and stops no other. Returns how many worked."""
    good = 0
    for catalogue in store.catalogue.every():
        try:
            refresh(store, web, catalogue.name)
            good += 1
        except MirrorRefused as error:
            log.warning("catalogue not read", catalogue=catalogue.name, problem=error.sentence)
    return good


def file_facts(web: Web, entry: Entry) -> FileFacts:
    """The exact file behind an entry, now. Raises MirrorRefused."""
    url = entry.url if entry.url.endswith(metalink.SUFFIX) else entry.url + metalink.SUFFIX
    page = web.get(url)
    file = metalink.read_metalink(page.body or b"", url=page.url)
    return FileFacts(file.name, file.size_bytes, file.sha256, file.urls, metalink=url)


def _all_entries(web: Web, name: str, url: str, body: bytes) -> list[Entry]:
    feed = opds.read_feed(body, url=url, catalogue=name)
    entries = list(feed.entries)
    for _ in range(MOST_PAGES):
        following = feed.next_url
        if following is None and feed.entries and feed.total is not None and len(entries) < feed.total:
            following = _from_start(url, len(entries))
        if following is None:
            break
        page = web.get(following)
        feed = opds.read_feed(page.body or b"", url=page.url, catalogue=name)
        entries += feed.entries
    return entries


def _from_start(url: str, start: int) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "start"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("start", str(start))])))
