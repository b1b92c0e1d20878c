"""Fetches an image in a thread of its own, while a card is waited for and written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

END_SECONDS = 5.0
"""A fetch that was asked to end may take so long; one that hangs at the network is left to its time limit."""

Fetch = Callable[[threading.Event], None]
"""Brings it, or raises; ends early when the event is set."""


class Fetching:
    """A fetch that goes on inside the ``with`` block."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._ending = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(END_SECONDS)

    def check(self) -> None:
        """Raises what the fetch raised."""
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Waits for its end, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._fetch(self._ending)
        except BaseException as error:  # noqa: BLE001 - raised by check, in the thread that asks
            self._error = error
