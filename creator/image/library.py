"""``library.xml``: what kiwix-serve offers, made when the image is built (format: libkiwix's, 20110515).

It is not made on the card: there, one ZIM that can't be read would leave an empty library.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from creator.books import Book

LIBRARY_VERSION = "20110515"
_KIB = 1024


def make_library(books: Sequence[Book]) -> bytes:
    """The library of these books; paths in it are relative, the files lie beside it."""
    library = ET.Element("library", version=LIBRARY_VERSION)
    for book in books:
        ET.SubElement(library, "book", _attributes(book))
    ET.indent(library)
    document: bytes = ET.tostring(library, encoding="utf-8", xml_declaration=True)
    return document


def _attributes(book: Book) -> dict[str, str]:
    attributes = {
        "id": book.uuid,
        "path": book.file,
        "title": book.title,
        "description": book.description,
        "language": book.language,
        "creator": book.creator,
        "publisher": book.publisher,
        "name": book.name,
        "flavour": book.flavour,
        "tags": book.tags,
        "date": book.date,
        "articleCount": str(book.articles),
        "mediaCount": str(book.media),
        "size": str(book.size_bytes // _KIB),
    }
    if book.illustration:
        attributes["faviconMimeType"] = book.illustration.kind
        attributes["favicon"] = base64.b64encode(book.illustration.data).decode()
    return {name: value for name, value in attributes.items() if value}
