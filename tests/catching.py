"""Catching work in its middle, by the files that grow: what is told of the progress comes too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.customers import PATIENCE_SECONDS

MIDDLE_BYTES = 16 * 1024 * 1024
"""Of the image's 160 MB: when so many are there, the work is in its middle."""


def catch(work: str, in_its_middle: Callable[[], bool]) -> None:
    """Returns within some milliseconds after the work came to its middle."""
    end = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not in_its_middle():
        assert time.monotonic() < end, f"{work} never came to its middle"
        pause.wait(0.002)


def stored(file: Path) -> int:
    """Bytes that a sparse file takes; 0 when it isn't there."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
