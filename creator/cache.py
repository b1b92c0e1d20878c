"""The cache of contents: one file for each SHA-256, there only when every byte of it was checked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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

    def part_bytes(self, sha256: str) -> int:
        """How much of it was fetched, not yet checked."""
        part = self.part(sha256)
        return part.stat().st_size if part.exists() else 0

    def missing_bytes(self, sha256: str, size: int) -> int:
        """How much of a content of ``size`` bytes is still to be fetched."""
        return 0 if self.path(sha256).exists() else max(size - self.part_bytes(sha256), 0)

    def keep(self, sha256: str) -> Path:
        """The checked part becomes the content, durably and at once."""
        part, final = self.part(sha256), self.path(sha256)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(final)
        sync_folder(self.folder)
        return final

    def drop(self, sha256: str) -> None:
        """Forgets a content and its part."""
        self.path(sha256).unlink(missing_ok=True)
        self.part(sha256).unlink(missing_ok=True)

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
