"""The cache of contents: one file for each SHA-256, there only when every byte of it was checked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from creator.part_file import marks_of

SECTOR_BYTES = 512  # unit of st_blocks, whatever the file system


class Cache:
    """A folder of contents, shared by the creators of a host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the content is when it is there."""
        return self.folder / sha256

    def part(self, sha256: str) -> Path:
        """Where it grows while it is fetched; what is there after a crash is gone on with."""
        return self.folder / f"{sha256}.part"

    def has(self, sha256: str, size: int) -> bool:
        """Whether the content is there; one that isn't as long as it was is forgotten."""
        try:
            whole = self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False
        if not whole:
            self.drop(sha256)
        return whole

    def missing_bytes(self, sha256: str, size: int) -> int:
        """How much room a content of ``size`` bytes still needs here."""
        if self.has(sha256, size):
            return 0
        part = self.part(sha256)
        return max(size - (part.stat().st_blocks * SECTOR_BYTES if part.exists() else 0), 0)

    def keep(self, sha256: str) -> Path:
        """The checked part becomes the content, durably and at once."""
        part, final = self.part(sha256), self.path(sha256)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(final)
        marks_of(part).unlink(missing_ok=True)
        sync_folder(self.folder)
        return final

    def drop(self, sha256: str) -> None:
        """Forgets a content and its part."""
        self.path(sha256).unlink(missing_ok=True)
        self.part(sha256).unlink(missing_ok=True)
        marks_of(self.part(sha256)).unlink(missing_ok=True)

    @contextmanager
    def alone(self, sha256: str) -> Iterator[None]:
        """Waits until no other process fetches this content; a killed one lets go at once."""
        with exclusively(self.folder / f"{sha256}.lock"):
            yield


@contextmanager
def exclusively(lock_file: Path) -> Iterator[None]:
    """Holds the lock on ``lock_file``, waiting for it; the kernel frees it when its holder dies."""
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sync_folder(folder: Path) -> None:
    """Makes the names in ``folder`` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
