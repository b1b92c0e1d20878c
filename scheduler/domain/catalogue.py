"""What a catalogue lists: contents that a recipe may name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One content that a feed lists; a bad one says what is wrong with it and can't be ordered."""

    ident: str  # "publisher:name:flavour"
    title: str
    summary: str
    language: str  # ISO 639-3, several joined by commas
    category: str
    size_bytes: int  # as the feed tells, cut to KiB; the exact size comes with the order
    updated: str  # ISO 8601
    illustration_url: str | None
    url: str  # of the file or of its metalink
    problem: str | None
    catalogue: str


@dataclass(frozen=True)
class FileFacts:
    """The exact file behind an entry, as its metalink describes it."""

    name: str
    size_bytes: int
    sha256: str
    urls: tuple[str, ...]  # best first, at least one
    metalink: str  # its address
