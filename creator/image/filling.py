"""How far an image is filled, for those who read it while it is."""

from __future__ import annotations

import math
import threading
import time

from cardshop.image_format import Range


class FillingEnded(Exception):
    """The image will never be full: it is of no use to read on."""


class Filling:
    """What is on its way into an image comes in ascending order; all else is there from the beginning.

    One thread fills, any number of others wait.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reached = 0
        self._stopped = False
        self._finished_at = math.inf

    @property
    def finished_at(self) -> float:
        """When all was there, by the monotonic clock; infinite: it isn't yet."""
        return self._finished_at

    @property
    def is_finished(self) -> bool:
        """Whether all is there."""
        return self._finished_at < math.inf

    def reach(self, offset: int) -> None:
        """All below ``offset`` is there. Raises FillingEnded: nobody waits for the rest."""
        with self._changed:
            if self._stopped:
                raise FillingEnded
            self._reached = max(self._reached, offset)
            self._changed.notify_all()

    def finish(self) -> None:
        """All is there."""
        with self._changed:
            self._finished_at = time.monotonic()
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more comes, and nobody needs to read on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_for(self, wanted: Range) -> None:
        """Returns when the range is there. Raises FillingEnded."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self.is_finished or self._reached >= wanted.end)
            if self._stopped:
                raise FillingEnded
