"""``library.xml``: what kiwix-serve offers, made when the image is built (format: libkiwix's, 20110515).

It is not made on the card: there, one ZIM that can't be read would leave an empty library.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from libzim.reader import Archive

from cardshop.contract.errors import ContentDamaged
from cardshop.contract.tasks import Content
from cardshop.fit import LIBRARY_BYTES_PER_CONTENT

LIBRARY_VERSION = "20110515"
_ILLUSTRATION_PIXELS = 48
_ILLUSTRATION_LIMIT = 32 * 1024
"""A larger illustration is left out: the fit keeps a fixed room for each content's entry."""
_TEXT_LIMIT = 1000
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KIB = 1024


def make_library(contents: Iterable[tuple[Content, Path]]) -> bytes:
    """The library of these ZIM files; paths in it are relative, the files lie beside it.

    Empty lines fill it up to the size that the forecast of the fit counted.

    Raises:
        ContentDamaged: a file is no ZIM file. ``field`` names the content.
    """
    library = ET.Element("library", version=LIBRARY_VERSION)
    for content, path in contents:
        ET.SubElement(library, "book", _book(content, _open(content, path)))
    ET.indent(library)
    document: bytes = ET.tostring(library, encoding="utf-8", xml_declaration=True)
    return document.ljust(LIBRARY_BYTES_PER_CONTENT * max(len(library), 1), b"\n")


def check_zim(content: Content, path: Path) -> None:
    """Reads the whole ZIM file and compares it with the checksum inside it.

    Raises:
        ContentDamaged: it is no ZIM file, or not whole. ``field`` names the content.
    """
    archive = _open(content, path)
    if archive.has_checksum and not archive.check():
        raise _damaged(content, "its inner checksum is wrong")


def _open(content: Content, path: Path) -> Archive:
    try:
        return Archive(path)
    except RuntimeError as error:
        raise _damaged(content, str(error)) from error


def _damaged(content: Content, why: str) -> ContentDamaged:
    return ContentDamaged(
        f"{content.title} ({content.ident}) is no sound ZIM file: {why}.",
        hint="Take it out of the recipe, or tell the publisher.",
        field=content.ident,
    )


def _book(content: Content, archive: Archive) -> dict[str, str]:
    book = {
        "id": str(archive.uuid),
        "path": content.file,
        "title": _text(archive, "Title") or content.title,
        "description": _text(archive, "Description"),
        "language": _text(archive, "Language") or content.language,
        "creator": _text(archive, "Creator"),
        "publisher": _text(archive, "Publisher"),
        "name": _text(archive, "Name"),
        "flavour": _text(archive, "Flavour"),
        "tags": _text(archive, "Tags"),
        "date": _text(archive, "Date"),
        "articleCount": str(archive.article_count),
        "mediaCount": str(archive.media_count),
        "size": str(archive.filesize // _KIB),
    }
    if archive.has_illustration(_ILLUSTRATION_PIXELS):
        illustration = archive.get_illustration_item(_ILLUSTRATION_PIXELS)
        if illustration.size <= _ILLUSTRATION_LIMIT:
            book["faviconMimeType"] = illustration.mimetype
            book["favicon"] = base64.b64encode(bytes(illustration.content)).decode()
    return {name: value for name, value in book.items() if value}


def _text(archive: Archive, name: str) -> str:
    if name not in archive.metadata_keys:
        return ""
    text = bytes(archive.get_metadata(name)).decode(errors="replace")
    return _NOT_IN_XML.sub("", text)[:_TEXT_LIMIT]
