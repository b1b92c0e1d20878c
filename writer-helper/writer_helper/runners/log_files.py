"""The end of a log file, and what is added to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

LOOK_SECONDS = 0.5


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines; none when there is no such file."""
    try:
        with path.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []


def lines_as_they_come(path: Path, count: int) -> Iterator[str]:
    """The last lines, then each that is added; has no end."""
    yield from last_lines(path, count)
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        while True:
            line = file.readline()
            if line:
                yield line.rstrip("\n")
            else:
                time.sleep(LOOK_SECONDS)
