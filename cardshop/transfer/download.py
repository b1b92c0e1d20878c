"""Fetches an image from the warehouse, and goes on where it was cut."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, TaskCanceled
from cardshop.image_format import BlockMap, Chunk, Manifest
from cardshop.transfer.checking import wrong_chunks
from cardshop.transfer.session import Session
from cardshop.transfer.spans import spans
from cardshop.transfer.upload import Observe


class Download:
    """One download; :meth:`go_on` may be called again with a new session after the old one broke.

    The image grows under ``<digest>.img.part`` and has its final name when every chunk was checked. Several
    processes of a host may fetch into the same folder: one does, the others wait and find the image there.

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

    @property
    def is_here(self) -> bool:
        """Whether the folder has the whole image."""
        return self._path(".img").exists()

    def manifest(self) -> Manifest:
        """The manifest of the image that is here. Raises ImageDamaged."""
        return Manifest.from_file(self._path(".json"))

    def go_on(self, session: Session) -> None:
        """Fetches what is not here yet.

        Raises:
            TaskCanceled: it was asked to end.
            ImageDamaged: what the warehouse sends is not what the manifest says, twice.
            NotFound: the warehouse does not keep the image.
            Unavailable: the connection broke.
        """
        with self._part() as part:
            if self.is_here:
                return
            if self._fetch_documents(session):
                os.ftruncate(part, 0)
            manifest = self.manifest()
            missing = list(wrong_chunks(part, manifest.chunks))
            for _again in range(2):
                if missing:
                    missing = self._fetch_chunks(session, part, manifest, missing)
            if missing:
                raise ImageDamaged(
                    f"The warehouse's image differs from its manifest at byte {missing[0].offset}.",
                    hint="Build the image again.",
                )
            os.ftruncate(part, manifest.bytes)
            os.fsync(part)
            self._path(".img.part").rename(self._path(".img"))

    def _fetch_documents(self, session: Session) -> bool:
        """Fetches manifest and block map; True when the manifest is not the one that was here."""
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
        self, session: Session, part: int, manifest: Manifest, chunks: list[Chunk]
    ) -> list[Chunk]:
        """Writes those of ``chunks`` that arrive right; returns the others."""
        wrong = []
        total = manifest.mapped_bytes
        done = total - sum(chunk.length for chunk in chunks)
        self._observe(done, total)
        for chunk, data in self._received(session, chunks):
            if hashlib.sha256(data).hexdigest() == chunk.sha256:
                _write(part, data, chunk.offset)
                done += chunk.length
                self._observe(done, total)
            else:
                wrong.append(chunk)
        return wrong

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
    def _part(self) -> Iterator[int]:
        """The open part, ours alone; waits while another process of this host fetches the image."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._path(".img.part")
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
            if self.is_here:
                part.unlink(missing_ok=True)

    def _stop_when_cancelled(self) -> None:
        if self._cancelled():
            raise TaskCanceled("The download was canceled.")

    def _path(self, suffix: str) -> Path:
        return self._folder / (self._digest + suffix)


def _skip(fill: Callable[[memoryview], None], buffer: memoryview, count: int) -> None:
    while count:
        step = min(count, len(buffer))
        fill(buffer[:step])
        count -= step


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
