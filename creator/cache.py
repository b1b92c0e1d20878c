"""The cache of contents: one file for each SHA-256, there only when every byte of it was checked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from creator.part_file import marks_of

SECTOR_BYTES = 512  # unit of st_blocks, whatever the file system

log = structlog.get_logger(__name__)


class Cache:
    """A folder of contents, shared by the creators of a host.

    Args:
        folder: made if it isn't there.
        limit: bytes that the contents may take; 0 is none. What a running build needs stays beyond it.
    """

    def __init__(self, folder: Path, limit: int = 0) -> None:
        self.folder = folder
        self._limit = limit
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
    def needed(self, sizes: Mapping[str, int]) -> Iterator[None]:
        """Keeps these contents (bytes by SHA-256) here, and counts them as used now.

        Those that were not used for longest leave, until these and the rest are within the limit.
        """
        with ExitStack() as uses:
            for sha256 in sizes:
                use = uses.enter_context(self._use_file(sha256).open("w"))  # its date is that of the use
                fcntl.flock(use, fcntl.LOCK_SH)
                os.utime(use.fileno())
            if self._limit:
                coming = sum(self.missing_bytes(sha256, size) for sha256, size in sizes.items())
                self._evict(self._limit - coming)
            yield

    def _evict(self, limit: int) -> None:
        """Contents and parts leave, the one whose last use is longest ago first, while more is here."""
        held: dict[str, int] = {}
        for file in self.folder.iterdir():
            if file.suffix in ("", ".part"):
                held[file.stem] = held.get(file.stem, 0) + file.stat().st_blocks * SECTOR_BYTES
        taken = sum(held.values())
        for sha256 in sorted(held, key=self._used_at):
            if taken <= limit:
                return
            with self._use_file(sha256).open("a") as use:
                try:
                    fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # a build needs it
                self.drop(sha256)
                taken -= held[sha256]
                log.info("content left the cache", sha256=sha256, bytes=held[sha256])

    def _used_at(self, sha256: str) -> float:
        use = self._use_file(sha256)
        return use.stat().st_mtime if use.exists() else 0.0

    def _use_file(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.use.lock"

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
