"""The stack's own catalogue: ZIM files that lie in one folder, served as a mirror of the internet would.

kiwix-serve gives the OPDS feed; a plain web server gives the files and their metalinks (RFC 5854), since
kiwix-serve doesn't hand out whole files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import requests

from cardshop.metalink import file_checksums, metalink
from cardshop.programs import find, run
from cardshop.settings import Address
from cardshop.stack.folder import StackFolder
from cardshop.stack.ports import LOOPBACK
from cardshop.stack.service import Service
from cardshop.stack.waiting import wait_for

PORTS = ("library-feed", "library-mirror")

RELOAD_SECONDS = 120.0
"""For kiwix-serve to notice a new book list, on a busy machine too; it looks each second."""

PIECE_BYTES = 1024 * 1024

EMPTY = '<?xml version="1.0" encoding="UTF-8"?>\n<library version="20110515"/>\n'


class Library:
    """The folder with the ZIM files, and the two servers in front of it."""

    def __init__(self, folder: StackFolder, ports: Mapping[str, int]) -> None:
        self.folder: Path = folder.inside("library")
        self._feed = Address(LOOPBACK, ports["library-feed"])
        self._mirror = Address(LOOPBACK, ports["library-mirror"])
        self.feed_url = f"http://{self._feed}/catalog/v2/entries?count=-1"
        self._book_list = self.folder / "library.xml"

    def services(self) -> tuple[Service, Service]:
        """What runs: the feed looks at the book list again whenever it changes."""
        if not self._book_list.exists():
            self._book_list.write_text(EMPTY)
        port = str(self._feed.port)
        feed = (find("kiwix-serve"), "-M", "-i", LOOPBACK, "-p", port, "--library", str(self._book_list))
        mirror = (find("busybox"), "httpd", "-f", "-p", str(self._mirror), "-h", str(self.folder))
        return (
            Service("library-feed", feed, address=self._feed, folder=self.folder),
            Service("library-mirror", mirror, address=self._mirror, folder=self.folder),
        )

    def publish(self) -> list[Path]:
        """Lists every ``*.zim`` of the folder in the catalogue, where kiwix-serve runs. Returns them by name.

        Raises:
            ProgramFailed: kiwix-manage refuses a file.
            Unavailable: kiwix-serve does not list them.
        """
        zims = sorted(self.folder.glob("*.zim"))
        new_list = self._book_list.with_suffix(".new")
        new_list.unlink(missing_ok=True)
        for zim in zims:
            address = f"http://{self._mirror}/{zim.name}"
            write_metalink(zim, address)
            run(["kiwix-manage", new_list, "add", zim, f"--url={address}.meta4"], timeout=60)
        if zims:
            # To kiwix-serve, which counts whole seconds, two lists of the same second are one.
            moment = max(time.time(), self._book_list.stat().st_mtime + 1)
            os.utime(new_list, (moment, moment))
            new_list.replace(self._book_list)
            wait_for("The catalogue's feed", lambda: self._lists(len(zims)), RELOAD_SECONDS)
        return zims

    def _lists(self, books: int) -> bool:
        feed = requests.get(self.feed_url, timeout=RELOAD_SECONDS)
        return feed.ok and feed.text.count("<entry>") == books


def write_metalink(zim: Path, address: str, *more_addresses: str) -> None:
    """Puts ``NAME.zim.meta4``, with the checksums of its pieces, beside a ZIM file that is served there."""
    with zim.open("rb") as stream:
        sha256, pieces = file_checksums(stream, PIECE_BYTES)
    addresses = [address, *more_addresses]
    size = zim.stat().st_size
    document = metalink(zim.name, size, sha256, addresses, piece_bytes=PIECE_BYTES, pieces=pieces)
    zim.with_name(f"{zim.name}.meta4").write_bytes(document)
