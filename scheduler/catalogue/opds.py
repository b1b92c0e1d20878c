"""Reads OPDS feeds (Atom) as kiwix-serve and library.kiwix.org give them: one bad entry spoils no other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from cardshop.contract.errors import MirrorRefused
from scheduler.domain.catalogue import Entry

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type only; defusedxml parses

ATOM = "{http://www.w3.org/2005/Atom}"
ACQUISITION = "http://opds-spec.org/acquisition/open-access"
THUMBNAIL = "http://opds-spec.org/image/thumbnail"
LONGEST_TEXT = 4000
_NUMBER = re.compile(r"[0-9]{1,18}")  # more digits would fit into no database


@dataclass(frozen=True)
class Feed:
    """One page of a feed."""

    entries: tuple[Entry, ...]
    total: int | None  # entries of all pages, where the feed tells
    next_url: str | None


def read_feed(document: bytes, *, url: str, catalogue: str) -> Feed:
    """The entries of a page that was fetched from ``url``.

    Raises:
        MirrorRefused: it is no Atom feed.
    """
    try:
        root = fromstring(document)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise MirrorRefused(f"{url} is no XML feed ({error}).") from None
    if root.tag != f"{ATOM}feed":
        raise MirrorRefused(
            f"{url} is no Atom feed.", hint="Give an OPDS address: .../catalog/v2/entries?count=-1"
        )
    entries = tuple(_entry(element, url, catalogue) for element in root.iter(f"{ATOM}entry"))
    totals = [_number(child.text) for child in root if child.tag.endswith("}totalResults")]
    links = [link.get("href") for link in root.findall(f"{ATOM}link") if link.get("rel") == "next"]
    next_url = (_joined(url, links[0]) or None) if links and links[0] else None
    return Feed(entries, totals[0] if totals else None, next_url)


def _entry(element: Element, url: str, catalogue: str) -> Entry:
    name = _text(element, "name")
    publisher = _text(element, f"publisher/{ATOM}name")
    acquisition = _link(element, ACQUISITION)
    thumbnail = _link(element, THUMBNAIL)
    address = _joined(url, acquisition.get("href", "")) if acquisition is not None else ""
    title = _text(element, "title")
    return Entry(
        ident=f"{publisher}:{name}:{_text(element, 'flavour')}" if name else _text(element, "id"),
        title=title or "(without a title)",
        summary=_text(element, "summary"),
        language=_text(element, "language"),
        category=_text(element, "category"),
        size_bytes=(_number(acquisition.get("length")) or 0) if acquisition is not None else 0,
        updated=_text(element, "updated"),
        illustration_url=(_joined(url, thumbnail.get("href", "")) or None) if thumbnail is not None else None,
        url=address,
        problem=_problem(name=name, title=title, address=address),
        catalogue=catalogue,
    )


def _problem(*, name: str, title: str, address: str) -> str | None:
    if not name:
        return "The entry has no name, so no recipe can say which it is."
    if not title:
        return "The entry has no title."
    if not address:
        return "The entry has no link to a file."
    if urlsplit(address).scheme not in ("http", "https"):
        return "The entry's link is no http or https address."
    return None


def _text(element: Element, path: str) -> str:
    return (element.findtext(f"{ATOM}{path}") or "").strip()[:LONGEST_TEXT]


def _link(element: Element, relation: str) -> Element | None:
    links = element.findall(f"{ATOM}link")
    return next((link for link in links if link.get("rel") == relation and link.get("href")), None)


def _joined(url: str, reference: str) -> str:
    """The address that a link leads to; empty when that is none at all (``http://[``)."""
    try:
        return urljoin(url, reference)
    except ValueError:
        return ""


def _number(text: str | None) -> int | None:
    match = _NUMBER.fullmatch((text or "").strip())
    return int(match[0]) if match else None
