"""Images on the host: each downloaded once, shared by the writers, thrown away when space is needed.

A writer uses an image from its first chunk on. Each of the host's writers that need one offers to fetch it,
one does, and when that one ends early (its task is canceled, its process killed) another goes on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import Manifest
from cardshop.transfer.arrivals import Arrivals, forget
from writer.fetching import Fetching

Fetch = Callable[[Path, threading.Event], None]
"""Brings an image into a folder, or finds it there; ends when the event is set. Several may do so at once."""

LOOK_SECONDS = 0.1
"""Pause between two looks for the manifest that another process fetches."""


@dataclass(frozen=True)
class CachedImage:
    """An image that stays here while it is in use, and may still be on its way."""

    manifest: Manifest
    document: bytes  # the manifest's
    folder: Path
    fetching: Fetching

    def check(self) -> None:
        """Raises what the fetch raised, unless another writer's brought the image."""
        if not Arrivals(self.folder, self.manifest.digest).is_whole:
            self.fetching.check()

    def arrived_bytes(self) -> int:
        """How many of the mapped bytes are here."""
        arrivals = Arrivals(self.folder, self.manifest.digest)
        if arrivals.is_whole:
            return self.manifest.mapped_bytes
        marked = arrivals.marked()
        return sum(chunk.length for chunk, here in zip(self.manifest.chunks, marked, strict=False) if here)


class ImageCache:
    """A folder of images, one folder a digest, and beside each a lock that its users share.

    Args:
        folder: shared by the writers of a host.
        limit_bytes: what images may take on the disk; those in use stay whatever they take.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit_bytes = limit_bytes

    @contextmanager
    def image(self, digest: str, fetch: Fetch) -> Iterator[CachedImage]:
        """The image, as soon as its manifest is here; nobody throws it away in the meantime.

        An image that proves damaged in use is forgotten: the next use downloads it again.

        Raises:
            What ``fetch`` raises.
        """
        with self._lock(digest).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(self._lock(digest))
            folder = self._folder / digest
            arrivals = Arrivals(folder, digest)
            with Fetching(lambda ending: fetch(folder, ending)) as fetching:
                while not arrivals.has_begun:
                    fetching.wait(LOOK_SECONDS)
                    fetching.check()
                manifest = arrivals.manifest()
                self._make_room(folder, manifest.mapped_bytes)
                try:
                    yield CachedImage(manifest, (folder / f"{digest}.json").read_bytes(), folder, fetching)
                except ImageDamaged:
                    (folder / f"{digest}.img").unlink(missing_ok=True)
                    forget(folder, digest)
                    raise

    def _make_room(self, needed: Path, needed_bytes: int) -> None:
        """For the image that is needed, before all of it is here."""
        images = [path for path in self._folder.iterdir() if path.is_dir() and path != needed]
        taken = {path: _disk_bytes(path) for path in images}
        total = needed_bytes + sum(taken.values())
        for path in sorted(images, key=self._used_at):
            if total <= self._limit_bytes:
                return
            if self._thrown_away(path):
                total -= taken[path]

    def _thrown_away(self, image: Path) -> bool:
        with self._lock(image.name).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            with suppress(FileNotFoundError):  # another writer of the host was quicker
                shutil.rmtree(image)
            return True

    def _used_at(self, image: Path) -> int:
        lock = self._lock(image.name)
        return lock.stat().st_mtime_ns if lock.exists() else 0

    def _lock(self, digest: str) -> Path:
        return self._folder / f"{digest}.lock"


def _disk_bytes(folder: Path) -> int:
    """What a folder's files take on the disk; holes take nothing."""
    total = 0
    with suppress(FileNotFoundError):  # another writer of the host throws it away
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # a part that became a file
                total += path.stat().st_blocks * 512
    return total
