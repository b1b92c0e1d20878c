"""What the shelf tells of its books: an OPDS feed as kiwix-serve's, and a metalink for each."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from cardshop.metalink import metalink
from warehouse.shelf.books import PIECE_BYTES, Book

ATOM = "http://www.w3.org/2005/Atom"
DUBLIN_CORE = "http://purl.org/dc/terms/"
OPEN_SEARCH = "http://a9.com/-/spec/opensearch/1.1/"

for _prefix, _namespace in (("", ATOM), ("dc", DUBLIN_CORE), ("opensearch", OPEN_SEARCH)):
    ET.register_namespace(_prefix, _namespace)


def feed(books: Sequence[Book], *, start: int, count: int) -> bytes:
    """One page of the OPDS 1.2 feed: ``count`` of the books from ``start`` on, all when it is negative."""
    root = ET.Element(_atom("feed"))
    _add(root, "id", "urn:cardshop:shelf")
    _add(root, "title", "Shelf")
    _add(root, "updated", _moment(max((book.changed_ns for book in books), default=0)))
    ET.SubElement(root, f"{{{OPEN_SEARCH}}}totalResults").text = str(len(books))
    ET.SubElement(root, f"{{{OPEN_SEARCH}}}startIndex").text = str(start)
    page = books[start:] if count < 0 else books[start : start + count]
    ET.SubElement(root, f"{{{OPEN_SEARCH}}}itemsPerPage").text = str(len(page))
    for book in page:
        _entry(root, book)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def metalink_of(book: Book, address: str) -> bytes:
    """The book's metalink (RFC 5854); ``address`` is that of its file."""
    return metalink(
        book.file, book.size_bytes, book.sha256, [address], piece_bytes=PIECE_BYTES, pieces=book.pieces
    )


def _entry(root: ET.Element, book: Book) -> None:
    entry = ET.SubElement(root, _atom("entry"))
    _add(entry, "id", f"urn:uuid:{book.id}")
    for name in ("title", "summary", "language", "name", "flavour", "category", "tags"):
        _add(entry, name, getattr(book, name))
    _add(entry, "updated", _moment(book.changed_ns))
    _add(entry, "articleCount", str(book.articles))
    _add(entry, "mediaCount", str(book.media))
    for role, who in (("author", book.creator), ("publisher", book.publisher)):
        if who:
            _add(ET.SubElement(entry, _atom(role)), "name", who)
    if book.date:
        ET.SubElement(entry, f"{{{DUBLIN_CORE}}}issued").text = book.date
    file = quote(book.file)
    if book.illustrated:
        _link(entry, "http://opds-spec.org/image/thumbnail", f"/illustrations/{file}", "image/png")
    acquisition = "http://opds-spec.org/acquisition/open-access"
    _link(entry, acquisition, f"/files/{file}.meta4", "application/x-zim", str(book.size_bytes))


def _link(entry: ET.Element, relation: str, address: str, media_type: str, length: str = "") -> None:
    attributes = {"rel": relation, "href": address, "type": media_type}
    ET.SubElement(entry, _atom("link"), {**attributes, **({"length": length} if length else {})})


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, _atom(name)).text = text


def _atom(name: str) -> str:
    return f"{{{ATOM}}}{name}"


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
