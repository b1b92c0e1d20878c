"""What a ZIM file says of itself: what the library and the portal show of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libzim.reader import Archive

from cardshop.contract.errors import ContentDamaged
from cardshop.contract.tasks import Content
from creator.card_names import address_of

LIBRARY_PIXELS = 48
"""Width and height of the illustration that every ZIM file should have."""

PORTAL_PIXELS = (96, 48)
"""Those that the portal takes, the best first."""

ILLUSTRATION_LIMIT = 32 * 1024
"""A larger illustration is left out: the fit keeps a fixed room for each content."""

_TEXT_LIMIT = 1000
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Illustration:
    """A small picture."""

    kind: str  # MIME type
    data: bytes


@dataclass(frozen=True)
class Book:
    """A content of the card; texts that the ZIM file doesn't have are empty."""

    uuid: str
    file: str  # name on the card
    title: str
    description: str
    language: str  # ISO 639-3, several joined by commas
    creator: str
    publisher: str
    name: str
    flavour: str
    tags: str
    date: str
    articles: int
    media: int
    size_bytes: int
    illustration: Illustration | None  # of 48 pixels
    picture: bytes | None  # PNG for the portal

    @property
    def address(self) -> str:
        """Its name in addresses."""
        return address_of(self.file)


def read_books(contents: Iterable[tuple[Content, Path]]) -> tuple[Book, ...]:
    """The books of a card, in the recipe's order.

    Raises:
        ContentDamaged: a file is no ZIM file. ``field`` names the content.
    """
    return tuple(_book(content, path) for content, path in contents)


def check_zim(content: Content, path: Path) -> None:
    """Reads the whole ZIM file and compares it with the checksum inside it.

    Raises:
        ContentDamaged: it is no ZIM file, or not whole. ``field`` names the content.
    """
    with opened_zim(content, path) as archive:
        sound = archive.check() if archive.has_checksum else True
    if not sound:
        raise _damaged(content, "its inner checksum is wrong")


@contextmanager
def opened_zim(content: Content, path: Path) -> Iterator[Archive]:
    """The file as a ZIM archive. Raises ContentDamaged, also for what is found while it is read."""
    try:
        yield Archive(path)
    except (RuntimeError, UnicodeDecodeError, LookupError) as error:  # as libzim tells of damage
        raise _damaged(content, str(error)) from error


def _damaged(content: Content, why: str) -> ContentDamaged:
    return ContentDamaged(
        f"{content.title} ({content.ident}) is no sound ZIM file: {why}.",
        hint="Take it out of the recipe, or tell the publisher.",
        field=content.ident,
    )


def _book(content: Content, path: Path) -> Book:
    with opened_zim(content, path) as archive:
        return _read(content, archive)


def _read(content: Content, archive: Archive) -> Book:
    pictures = [found for pixels in PORTAL_PIXELS if (found := _illustration(archive, pixels))]
    return Book(
        uuid=str(archive.uuid),
        file=content.file,
        title=_text(archive, "Title") or content.title,
        description=_text(archive, "Description"),
        language=_text(archive, "Language") or content.language,
        creator=_text(archive, "Creator"),
        publisher=_text(archive, "Publisher"),
        name=_text(archive, "Name"),
        flavour=_text(archive, "Flavour"),
        tags=_text(archive, "Tags"),
        date=_text(archive, "Date"),
        articles=archive.article_count,
        media=archive.media_count,
        size_bytes=archive.filesize,
        illustration=_illustration(archive, LIBRARY_PIXELS),
        picture=next((found.data for found in pictures if found.data.startswith(_PNG)), None),
    )


def _illustration(archive: Archive, pixels: int) -> Illustration | None:
    if not archive.has_illustration(pixels):
        return None
    found = archive.get_illustration_item(pixels)
    if found.size > ILLUSTRATION_LIMIT:
        return None
    return Illustration(str(found.mimetype), bytes(found.content))


def _text(archive: Archive, name: str) -> str:
    if name not in archive.metadata_keys:
        return ""
    text = bytes(archive.get_metadata(name)).decode(errors="replace")
    return _NOT_IN_XML.sub("", text)[:_TEXT_LIMIT]
