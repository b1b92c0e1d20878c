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
READS = 3
"""How often a feed is read that changes in between."""


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
    """The entries of all pages, read anew when the feed changed between two of them.

    Raises:
        MirrorRefused: a page can't be read, or the pages list fewer than the feed tells.
    """
    for _ in range(READS):
        feed = opds.read_feed(body, url=url, catalogue=name)
        total, entries = feed.total, list(feed.entries)
        for _ in range(MOST_PAGES):
            following = feed.next_url
            if following is None and feed.entries and total is not None and len(entries) < total:
                following = _from_start(url, len(entries))
            if following is None or feed.total != total:
                break
            page = web.get(following)
            feed = opds.read_feed(page.body or b"", url=page.url, catalogue=name)
            entries += feed.entries
        if feed.total == total and (total is None or len(entries) >= total):
            return entries
        body = web.get(url).body or b""
    raise MirrorRefused(
        f"{url} lists {len(entries)} entries of the {total} that it tells: it changes while it is read.",
        hint="What it listed before stays. Refresh it later, or tell its publisher.",
    )


def _from_start(url: str, start: int) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "start"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("start", str(start))])))
