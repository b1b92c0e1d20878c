"""Factories of what a card shows: its books, and kiwix-serve with the library that a creator makes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from cardshop.contract.tasks import Content
from cardshop.programs import find
from cardshop.stack.ports import LOOPBACK, free_port
from cardshop.stack.waiting import wait_for
from creator.books import Book, read_books
from creator.image.library import make_library

START_SECONDS = 120.0


def a_content(path: Path, **changes: Any) -> Content:
    """The content of a ZIM file that lies on this machine."""
    values: dict[str, Any] = {
        "ident": f"cardshop:{path.stem}:",
        "title": path.stem,
        "language": "eng",
        "file": path.name,
        "url": f"http://mirror.example/{path.stem}",
        "mirrors": (),
        "size_bytes": path.stat().st_size,
        "sha256": "0" * 64,
    }
    return Content(**(values | changes))


def books_of(zims: Sequence[Path]) -> tuple[Book, ...]:
    """What a creator reads of these files."""
    return read_books([(a_content(zim), zim) for zim in zims])


@contextmanager
def serve_library(folder: Path, books: Sequence[Book]) -> Iterator[str]:
    """kiwix-serve as on a card, its files in ``folder``; gives its address, without a slash at the end."""
    library, port = folder / "library.xml", free_port()
    library.write_bytes(make_library(books))
    argv = [find("kiwix-serve"), f"--address={LOOPBACK}", f"--port={port}", "--library", str(library)]
    url = f"http://{LOOPBACK}:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/catalog/v2/root.xml", timeout=5).ok
        except requests.RequestException:
            return False

    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for("kiwix-serve", answers, START_SECONDS)
            yield url
        finally:
            process.terminate()
