"""Fetches an image from the warehouse, and goes on where it was cut."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, TaskCanceled
from cardshop.image_format import BlockMap, Chunk, Manifest
from cardshop.transfer import arrivals
from cardshop.transfer.arrivals import Arrivals, Marks
from cardshop.transfer.checking import holds
from cardshop.transfer.session import Session
from cardshop.transfer.spans import spans
from cardshop.transfer.upload import Observe

LOOK_SECONDS = 0.2
"""Pause between two looks whether another process still fetches: a lock can't be waited for and given up."""


class Download:
    """One download; :meth:`go_on` may be called again with a new session after the old one broke.

    The image grows under ``<digest>.img.part`` and has its final name when every chunk was checked; which
    chunks are here before that, :mod:`cardshop.transfer.arrivals` tells. Several processes of a host may
    fetch into the same folder: one does (:meth:`ours`), the others wait and find the image there, or go on
    where that one ended.

    Args:
        digest: names the image.
        folder: gets ``<digest>.json``, ``.bmap`` and ``.img`` (sparse).
        observe: is told the progress.
        cancelled: asked often; True ends the download.
    """

    def __init__(self, digest: str, folder: Path, observe: Observe, cancelled: Callable[[], bool]) -> None:
        self._digest = digest
        self._folder = folder
        self._observe = observe
        self._cancelled = cancelled
        self._arrivals = Arrivals(folder, digest)
        self._right: set[int] = set()  # offsets of chunks that this download found or brought itself

    @property
    def is_here(self) -> bool:
        """Whether the folder has the whole image."""
        return self._arrivals.is_whole

    def manifest(self) -> Manifest:
        """The manifest of the image that is here. Raises ImageDamaged."""
        return self._arrivals.manifest()

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Nobody else fetches the image meanwhile; waits while another process of this host does.

        Raises:
            TaskCanceled: it was asked to end.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while not _locked(descriptor):
                self._stop_when_cancelled()
                time.sleep(LOOK_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def go_on(self, session: Session) -> None:
        """Fetches what is not here yet.

        Raises:
            TaskCanceled: it was asked to end.
            ImageDamaged: what the warehouse sends is not what the manifest says, twice.
            NotFound: the warehouse does not keep the image.
            Unavailable: the connection broke.
        """
        self._stop_when_cancelled()
        if self._fetch_documents(session):
            self._path(".img.part").unlink(missing_ok=True)
            self._right.clear()
        manifest = self.manifest()
        with self._part(manifest) as (part, marks):
            missing = self._missing(part, marks, manifest)
            for _again in range(2):
                if missing:
                    missing = self._fetch_chunks(session, part, marks, manifest, missing)
            if missing:
                raise ImageDamaged(
                    f"The warehouse's image differs from its manifest at byte {missing[0].offset}.",
                    hint="Build the image again.",
                )
            os.ftruncate(part, manifest.bytes)
            os.fsync(part)
            self._path(".img.part").rename(self._path(".img"))
        arrivals.forget(self._folder, self._digest)

    def _missing(self, part: int, marks: Marks, manifest: Manifest) -> list[Chunk]:
        """What was not fetched before; all else is marked as it is found."""
        missing = []
        for chunk in manifest.chunks:
            self._stop_when_cancelled()
            if chunk.offset in self._right or holds(part, chunk):
                self._keep_chunk(chunk, marks)
            else:
                missing.append(chunk)
        return missing

    def _fetch_documents(self, session: Session) -> bool:
        """Fetches manifest and block map; True when the manifest is not the one that was here."""
        arrivals.forget(self._folder, self._digest)
        with session.receiving(f"{self._digest}.json") as incoming:
            data = incoming.rest()
        changed = not self._path(".json").exists() or self._path(".json").read_bytes() != data
        self._keep(".json", data)
        if self.manifest().digest != self._digest:
            raise ImageDamaged("The warehouse sent the manifest of another image.")
        with session.receiving(f"{self._digest}.bmap") as incoming:
            self._keep(".bmap", incoming.rest())
        BlockMap.from_file(self._path(".bmap"))
        return changed

    def _keep(self, suffix: str, data: bytes) -> None:
        part = self._path(f"{suffix}.part")
        part.write_bytes(data)
        part.rename(self._path(suffix))

    def _fetch_chunks(
        self, session: Session, part: int, marks: Marks, manifest: Manifest, chunks: list[Chunk]
    ) -> list[Chunk]:
        """Writes those of ``chunks`` that arrive right; returns the others."""
        wrong = []
        total = manifest.mapped_bytes
        done = total - sum(chunk.length for chunk in chunks)
        self._observe(done, total)
        for chunk, data in self._received(session, chunks):
            if hashlib.sha256(data).hexdigest() == chunk.sha256:
                _write(part, data, chunk.offset)
                self._keep_chunk(chunk, marks)
                done += chunk.length
                self._observe(done, total)
            else:
                wrong.append(chunk)
        return wrong

    def _keep_chunk(self, chunk: Chunk, marks: Marks) -> None:
        self._right.add(chunk.offset)
        marks.mark(chunk)

    def _received(self, session: Session, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, memoryview]]:
        """Each chunk with its bytes, which are good until the next one is asked for."""
        waiting = deque(chunks)
        buffer = memoryview(bytearray(max(chunk.length for chunk in waiting)))
        for span in spans(waiting):
            with session.receiving(f"{self._digest}.img", span.offset, span.end) as incoming:
                position = span.offset
                while waiting and waiting[0].end <= span.end:
                    chunk = waiting.popleft()
                    self._stop_when_cancelled()
                    _skip(incoming.fill, buffer, chunk.offset - position)
                    incoming.fill(buffer[: chunk.length])
                    position = chunk.end
                    yield chunk, buffer[: chunk.length]

    @contextmanager
    def _part(self, manifest: Manifest) -> Iterator[tuple[int, Marks]]:
        """The open part, and the marks of what it holds."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        part = os.open(self._path(".img.part"), flags, 0o640)
        try:
            marks = Marks(self._folder, self._digest, manifest.chunks)
            try:
                yield part, marks
            finally:
                marks.close()
        finally:
            os.close(part)

    def _stop_when_cancelled(self) -> None:
        if self._cancelled():
            raise TaskCanceled("The download was canceled.")

    def _path(self, suffix: str) -> Path:
        return self._folder / (self._digest + suffix)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _skip(fill: Callable[[memoryview], None], buffer: memoryview, count: int) -> None:
    while count:
        step = min(count, len(buffer))
        fill(buffer[:step])
        count -= step


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
