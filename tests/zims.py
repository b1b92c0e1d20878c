"""Factory of small ZIM files, made with libzim as a publisher makes them."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from libzim.writer import Creator, FileProvider, Hint, Item, StringProvider

NO_FILES: Mapping[str, bytes | Path] = {}


class _Page(Item):  # type: ignore[misc]
    def __init__(self, path: str, title: str, text: str) -> None:
        super().__init__()
        self._path, self._title, self._text = path, title, text

    def get_path(self) -> str:
        return self._path

    def get_title(self) -> str:
        return self._title

    def get_mimetype(self) -> str:
        return "text/html"

    def get_contentprovider(self) -> Any:
        return StringProvider(f"<html><title>{self._title}</title><body><p>{self._text}</p></body></html>")

    def get_hints(self) -> dict[Hint, bool]:
        return {Hint.FRONT_ARTICLE: True, Hint.COMPRESS: True}


class _File(Item):  # type: ignore[misc]
    def __init__(self, path: str, content: bytes | Path) -> None:
        super().__init__()
        self._path, self._content = path, content

    def get_path(self) -> str:
        return self._path

    def get_title(self) -> str:
        return ""

    def get_mimetype(self) -> str:
        return "application/octet-stream"

    def get_contentprovider(self) -> Any:
        kind = FileProvider if isinstance(self._content, Path) else StringProvider
        return kind(self._content)

    def get_hints(self) -> dict[Hint, bool]:
        return {Hint.FRONT_ARTICLE: False, Hint.COMPRESS: False}


def make_zim(
    path: Path,
    title: str = "A library",
    articles: Mapping[str, str] | int = 3,
    language: str = "eng",
    files: Mapping[str, bytes | Path] = NO_FILES,
) -> Path:
    """A ZIM file with an illustration and a full-text index.

    Args:
        path: the file to make.
        title: its title; its name is the file's.
        articles: text by page name, or how many pages to make up.
        language: ISO 639-3.
        files: stored beside the articles as they are, neither compressed nor indexed: the quick way to size.
    """
    if isinstance(articles, int):
        articles = {f"page-{number}": f"Page {number} of {title}. " * 20 for number in range(articles)}
    names = list(articles)
    with Creator(path).config_indexing(True, language) as creator:
        creator.set_mainpath(names[0])
        for name, text in articles.items():
            creator.add_item(_Page(name, name, text))
        for name, content in files.items():
            creator.add_item(_File(name, content))
        creator.add_illustration(48, illustration(48))
        for key, value in {
            "Title": title,
            "Name": path.stem,
            "Language": language,
            "Description": f"About {title}",
            "Creator": "Cardshop",
            "Publisher": "Cardshop",
            "Date": "2026-01-01",
        }.items():
            creator.add_metadata(key, value)
    return path


def damaged_copies(zim: bytes, count: int) -> Iterator[bytes]:
    """The file with a few bytes changed, always the same ones, and its inner checksum made right again."""
    chance = random.Random(1)  # noqa: S311 - the same damage in each run
    for _ in range(count):
        copy = bytearray(zim)
        for _ in range(3):
            copy[chance.randrange(80, len(copy) - 16)] = chance.randrange(256)
        copy[-16:] = hashlib.md5(copy[:-16], usedforsecurity=False).digest()
        yield bytes(copy)


def illustration(pixels: int) -> bytes:
    """A PNG of so many pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x20\x60\xa0" * pixels) * pixels
    head = struct.pack(">IIBBBBB", pixels, pixels, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
