"""``python -m warehouse.shelf`` over a folder, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from cardshop.stack.ports import free_port
from cardshop.stack.waiting import wait_for
from tests.real_services import PATIENCE_SECONDS


class ServedShelf:
    """The running program; its folder may be filled and emptied."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        self.url = f"http://127.0.0.1:{free_port()}"
        self.feed_url = f"{self.url}/catalog/v2/entries?count=-1"
        command = ["-m", "warehouse.shelf", str(folder), "--listen", self.url.removeprefix("http://")]
        self.process = subprocess.Popen([sys.executable, *command, "--state", str(state)])
        wait_for("The shelf", self._answers, PATIENCE_SECONDS)

    def shows(self, words: str) -> bool:
        """Whether its page has these words."""
        return words in asked(self.url).text

    def wait_for_files(self, count: int) -> None:
        """Waits until it offers so many."""
        wait_for("The shelf's files", lambda: self._offers() == count, PATIENCE_SECONDS)

    def _offers(self) -> int:
        return asked(self.feed_url).text.count("<entry>")

    def _answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return asked(self.url).ok
        except requests.ConnectionError:
            return False


def asked(address: str, headers: dict[str, str] | None = None) -> requests.Response:
    """What the shelf answers; a question may wait in its port before there is a process to take it."""
    return requests.get(address, headers=headers, timeout=PATIENCE_SECONDS)


@contextmanager
def served_shelf(folder: Path, state: Path) -> Iterator[ServedShelf]:
    """The program over ``folder``, which is there; it ends with the block, as a service does."""
    shelf = ServedShelf(folder, state)
    try:
        yield shelf
    finally:
        shelf.process.send_signal(signal.SIGTERM)
        assert shelf.process.wait(PATIENCE_SECONDS) == 0
