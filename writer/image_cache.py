"""Images on the host: each downloaded once, shared by the writers, thrown away when space is needed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import Manifest

Fetch = Callable[[Path], Manifest]
"""Brings an image into a folder, or finds it there; several processes may do so at once."""


@dataclass(frozen=True)
class CachedImage:
    """An image that stays here while it is in use."""

    manifest: Manifest
    document: bytes  # the manifest's
    file: BinaryIO  # open for reading


class ImageCache:
    """A folder of images, one folder a digest, and beside each a lock that its users share.

    Args:
        folder: shared by the writers of a host.
        limit_bytes: what images may take on the disk after a download; those in use stay whatever they take.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit_bytes = limit_bytes

    @contextmanager
    def image(self, digest: str, fetch: Fetch) -> Iterator[CachedImage]:
        """The image, whole and checked; nobody throws it away in the meantime.

        An image that proves damaged in use is forgotten: the next use downloads it again.

        Raises:
            What ``fetch`` raises.
        """
        with self._lock(digest).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(self._lock(digest))
            folder = self._folder / digest
            manifest = fetch(folder)
            self._make_room()
            image = folder / f"{digest}.img"
            try:
                with image.open("rb", buffering=0) as file:
                    yield CachedImage(manifest, (folder / f"{digest}.json").read_bytes(), file)
            except ImageDamaged:
                image.unlink(missing_ok=True)
                raise

    def _make_room(self) -> None:
        images = [path for path in self._folder.iterdir() if path.is_dir()]
        taken = {path: _disk_bytes(path) for path in images}
        total = sum(taken.values())
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
    for path in folder.iterdir():
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # a part that became a file
    return total
