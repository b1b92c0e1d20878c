"""The chunks of an image for a card: each is checked as it is read, and waited for while it is on its way."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import Chunk, Manifest
from cardshop.transfer.arrivals import Arrivals
from writer.busy import BusyClock

LOOK_SECONDS = 0.1
"""Pause between two looks for a chunk that is on its way: another process fetches it."""


class GivenUp(Exception):
    """The work that waited for a chunk ends."""


class ImageSource:
    """An image on this host, or on its way to it. Several threads may load at once.

    Args:
        folder: has the image, or gets it.
        manifest: of the image.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._arrivals = Arrivals(folder, manifest.digest)
        self._manifest = manifest
        self._number = {chunk.offset: number for number, chunk in enumerate(manifest.chunks)}
        self._marked = b""
        self._descriptor = -1
        self._lock = threading.Lock()
        self._awaited: set[int] = set()
        self.waiting = BusyClock(time.monotonic)  # while any chunk is waited for

    def close(self) -> None:
        """Nothing is loaded any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def is_awaited(self, chunk: Chunk) -> bool:
        """Whether a thread waits for the chunk to arrive."""
        return chunk.offset in self._awaited

    def load(self, data: memoryview, chunk: Chunk, ending: threading.Event) -> None:
        """Reads a chunk, and checks it: a fault of the host's disk is not the card's.

        Raises:
            ImageDamaged: it is not what the manifest says.
            GivenUp: ``ending`` was set before it arrived.
        """
        if not self._is_here(chunk):
            self._wait_for(chunk, ending)
        try:
            got = os.preadv(self._opened(), [data], chunk.offset)
        except OSError:
            got = 0
        if got != chunk.length or hashlib.sha256(data).hexdigest() != chunk.sha256:
            raise ImageDamaged(
                f"The downloaded image {self._manifest.digest} is damaged at byte {chunk.offset}.",
                hint="Try again: it is downloaded anew.",
            )

    def _wait_for(self, chunk: Chunk, ending: threading.Event) -> None:
        with self.waiting:
            self._awaited.add(chunk.offset)
            try:
                while not self._is_here(chunk):
                    if ending.wait(LOOK_SECONDS):
                        raise GivenUp
            finally:
                self._awaited.discard(chunk.offset)

    def _is_here(self, chunk: Chunk) -> bool:
        number = self._number[chunk.offset]
        if self._marked[number : number + 1] > b"\0":
            return True
        if self._arrivals.is_whole:
            self._marked = b"\1" * len(self._number)
        else:
            self._marked = self._arrivals.marked()
        return self._marked[number : number + 1] > b"\0"

    def _opened(self) -> int:
        with self._lock:
            if self._descriptor < 0:
                self._descriptor = self._arrivals.open_image()
                # The host reads it for several cards at once, each a little later than the one before.
                with suppress(OSError):
                    os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            return self._descriptor
