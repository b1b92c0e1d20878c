"""Who fetches what: the pieces of one content that are still missing, shared out among its mirrors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from creator.part_file import PartFile

REQUEST_BYTES = 16 * 1024 * 1024
"""Asked of one mirror at once while there are others; a smaller content comes from one mirror."""

OVERTAKE_SECONDS = 5.0
"""A mirror that has brought nothing for so long is overtaken by one that has nothing else to do."""


@dataclass
class _Run:
    """Pieces that a mirror was sent for: ``first`` to ``end``, without ``end``."""

    first: int
    end: int
    moved_at: float


class Board:
    """The pieces of ``part`` and the mirrors that are out for them. Safe for threads.

    Args:
        part: the content in the making.
        mirrors: how many mirrors there are; they are numbered from 0.
        clock: seconds, monotonic.
    """

    def __init__(self, part: PartFile, mirrors: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._part = part
        self._clock = clock
        self._several = mirrors > 1
        self._runs: dict[int, _Run] = {}
        self._wrong: dict[int, set[int]] = {number: set() for number in range(mirrors)}
        self._at_work = mirrors
        self._over = False
        self._changed = threading.Condition()

    def take(self, mirror: int) -> tuple[int, int] | None:
        """Pieces for the mirror to fetch, from the first to before the second; None: none that it could.

        Waits while all that is missing is on its way from others that do bring it.
        """
        with self._changed:
            while not self._over and not self._part.is_whole:
                run = self._free_run(mirror)
                if run is not None:
                    self._runs[mirror] = run
                    return run.first, run.end
                if not self._runs:
                    return None
                self._changed.wait(OVERTAKE_SECONDS / 4)
            return None

    def put(self, mirror: int, index: int, data: bytes) -> bool:
        """A piece came; whether its bytes are right. One that came from another before is right, too."""
        good = self._part.is_good(index, data)
        with self._changed:
            run = self._runs.get(mirror)
            if run is not None:
                run.moved_at = self._clock()
            if not good:
                self._wrong[mirror].add(index)
            elif not self._part.is_there(index):
                self._part.put(index, data)
            self._changed.notify_all()
        return good

    def give_back(self, mirror: int) -> None:
        """The mirror is out for nothing any more."""
        with self._changed:
            self._runs.pop(mirror, None)
            self._changed.notify_all()

    def leave(self) -> None:
        """A mirror has ended."""
        with self._changed:
            self._at_work -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is given out any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits until something changed; False when there is nothing more to wait for."""
        with self._changed:
            if self._part.is_whole or not self._at_work:
                return False
            self._changed.wait(seconds)
            return True

    def _free_run(self, mirror: int) -> _Run | None:
        now = self._clock()
        out: set[int] = set()
        for number, run in self._runs.items():
            if number != mirror and now - run.moved_at < OVERTAKE_SECONDS:
                out.update(range(run.first, run.end))
        longest = max(REQUEST_BYTES // self._part.length, 1) if self._several else self._part.count
        wrong = self._wrong[mirror]
        first = None
        for index in range(self._part.count):
            free = not (self._part.is_there(index) or index in out or index in wrong)
            if free and first is None:
                first = index
            elif first is not None and (not free or index - first >= longest):
                return _Run(first, index, now)
        return None if first is None else _Run(first, self._part.count, now)
