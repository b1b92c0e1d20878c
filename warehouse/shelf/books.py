"""The ZIM files of a folder, each read whole once: what it says of itself, its checksums, what is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from libzim.reader import Archive

from cardshop.metalink import file_checksums, is_zim_name

log = structlog.get_logger(__name__)

PIECE_BYTES = 4 * 1024 * 1024
SETTLED_SECONDS = 10.0
"""A file that changed more recently may still be on its way into the folder."""

ILLUSTRATION_PIXELS = 48
LONGEST_TEXT = 4000

_RECORD_VERSION = 1
_PNG = b"\x89PNG\r\n\x1a\n"
_METADATA = {
    "name": "Name",
    "flavour": "Flavour",
    "title": "Title",
    "summary": "Description",
    "language": "Language",
    "publisher": "Publisher",
    "creator": "Creator",
    "tags": "Tags",
    "date": "Date",
}
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Book:
    """A ZIM file that was read. With a ``problem`` it isn't offered, and the rest may be empty."""

    file: str
    size_bytes: int
    changed_ns: int  # its mtime
    problem: str = ""
    sha256: str = ""
    pieces: tuple[str, ...] = ()  # SHA-256 of each PIECE_BYTES
    id: str = ""
    name: str = ""
    flavour: str = ""
    title: str = ""
    summary: str = ""
    language: str = ""
    publisher: str = ""
    creator: str = ""
    category: str = ""
    tags: str = ""
    date: str = ""
    articles: int = 0
    media: int = 0
    illustrated: bool = False


class Shelf:
    """The folder. :meth:`look` reads what is new; :meth:`books` answers at any time, from any thread.

    Args:
        folder: with the ``*.zim``; it is only read.
        state: where what was read is kept, so that a restart reads nothing again.
        clock: seconds, as the files' times are.
    """

    def __init__(self, folder: Path, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._state = state
        self._clock = clock
        self._known: dict[str, Book] = {}
        state.mkdir(parents=True, exist_ok=True)

    def books(self) -> list[Book]:
        """All that were read, the bad ones too, by file name."""
        known = self._known
        return [known[name] for name in sorted(known)]

    def book(self, file: str) -> Book | None:
        """The one with this file name, if it is offered."""
        book = self._known.get(file)
        return book if book and not book.problem else None

    def path(self, book: Book) -> Path:
        """Where it lies."""
        return self._folder / book.file

    def look(self) -> None:
        """Reads what is new or changed, and forgets what is gone."""
        known: dict[str, Book] = {}
        for path, found in self._files():
            before = self._known.get(path.name) or self._kept(path.name)
            if before and (before.size_bytes, before.changed_ns) == (found.st_size, found.st_mtime_ns):
                known[path.name] = before
            elif abs(self._clock() - found.st_mtime) >= SETTLED_SECONDS and (book := self._read(path, found)):
                known[path.name] = book
                self._known = {**self._known, path.name: book}  # the next file may take minutes
        self._known = known

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in sorted(self._folder.glob("*.zim")):
            if not path.name.isprintable():
                continue  # bytes that are no UTF-8: no page could name it
            try:
                found = path.stat()
            except OSError:
                continue  # it went, or is a link to nothing
            if path.is_file():
                yield path, found

    def _read(self, path: Path, found: os.stat_result) -> Book | None:
        log.info("reading", file=path.name, bytes=found.st_size)
        book = Book(path.name, found.st_size, found.st_mtime_ns)
        try:
            book = read_book(path, book)
            if (now := path.stat()).st_mtime_ns != found.st_mtime_ns or now.st_size != found.st_size:
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            book = dataclasses.replace(book, problem=f"It can't be read ({error.strerror}).")
        if book.problem:
            log.warning("not offered", file=path.name, problem=book.problem)
        self._keep(book)
        return book

    def _kept(self, file: str) -> Book | None:
        try:
            record = json.loads(self._record(file).read_text())
            if record.pop("version") != _RECORD_VERSION:
                return None
            return Book(**{**record, "pieces": tuple(record["pieces"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _keep(self, book: Book) -> None:
        record = {"version": _RECORD_VERSION, **dataclasses.asdict(book)}
        new = self._record(book.file).with_suffix(".new")
        new.write_text(json.dumps(record))
        new.replace(self._record(book.file))

    def _record(self, file: str) -> Path:
        # A file name may be as long as names can be: the record's own is of one length.
        return self._state / f"{hashlib.sha256(os.fsencode(file)).hexdigest()}.json"


def illustration(path: Path) -> bytes | None:
    """The picture of a ZIM file, PNG; None when there is none."""
    try:
        archive = Archive(path)
        if not archive.has_illustration(ILLUSTRATION_PIXELS):
            return None
        content = bytes(archive.get_illustration_item(ILLUSTRATION_PIXELS).content)
    except (RuntimeError, UnicodeDecodeError, LookupError):
        return None
    return content if content.startswith(_PNG) else None


def read_book(path: Path, book: Book) -> Book:
    """The book with all that is known after reading the whole file at ``path``. Raises OSError."""
    if not is_zim_name(book.file):
        problem = "Its file name has characters that pages don't show or cards don't take: rename it."
        return dataclasses.replace(book, problem=problem)
    with path.open("rb") as stream:
        sha256, pieces = file_checksums(stream, PIECE_BYTES)
    book = dataclasses.replace(book, sha256=sha256, pieces=pieces)
    try:
        archive = Archive(path)
        sound = archive.check() if archive.has_checksum else True
        told: dict[str, Any] = {field: _text(archive, key) for field, key in _METADATA.items()}
        book = dataclasses.replace(
            book,
            **told,
            id=str(archive.uuid),
            articles=archive.article_count,
            media=archive.media_count,
            illustrated=archive.has_illustration(ILLUSTRATION_PIXELS),
            category=_category(told["tags"]),
        )
    except (RuntimeError, UnicodeDecodeError, LookupError) as error:  # as libzim tells of damage
        return dataclasses.replace(book, problem=f"It is no ZIM file, or not whole ({error}).")
    problem = ""
    if not sound:
        problem = "Its inner checksum is wrong: it was damaged on its way. Bring it again."
    elif not (book.name and book.title):
        problem = "It has no Name or no Title in its metadata, so no recipe can say which it is."
    return dataclasses.replace(book, problem=problem)


def _text(archive: Archive, key: str) -> str:
    if key not in archive.metadata_keys:
        return ""
    text = bytes(archive.get_metadata(key)).decode(errors="replace")
    return _NOT_IN_XML.sub("", text)[:LONGEST_TEXT].strip()


def _category(tags: str) -> str:
    """``_category:wikipedia`` among the tags, as openZIM's metadata have it."""
    return next((tag.partition(":")[2] for tag in tags.split(";") if tag.startswith("_category:")), "")
