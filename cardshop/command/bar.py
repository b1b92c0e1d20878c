"""A bar of progress on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

_REDRAW_SECONDS = 0.2
_BAR = 30
_MEGABYTE = 10**6


class Bar:
    """A bar of progress with the speed and the time that is left.

    Args:
        draw: takes the text; None draws nothing.
        clock: seconds, ever rising.
        goes_on: what the first call tells was done before, and doesn't count for the speed.
    """

    def __init__(
        self,
        draw: Callable[[str], object] | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        goes_on: bool = False,
    ) -> None:
        self._draw = draw
        self._clock = clock
        self._begun = clock()
        self._before = None if goes_on else 0
        self._drawn_at = 0.0

    def at(self, done: int, total: int) -> None:
        """So many bytes of all are done."""
        now = self._clock()
        if self._before is None:
            self._before = done
        if self._draw is None or (done < total and now - self._drawn_at < _REDRAW_SECONDS):
            return
        self._drawn_at = now
        rate = (done - self._before) / max(now - self._begun, 0.001)
        filled = _BAR * done // max(total, 1)
        left = (total - done) / rate if rate else 0
        self._draw(
            f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {100 * done // max(total, 1)} %  "
            f"{done // _MEGABYTE:,} of {total // _MEGABYTE:,} MB, {rate / _MEGABYTE:.0f} MB/s, "
            f"{left:.0f} s left   "
        )

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._draw and self._drawn_at:
            self._draw("\n")
