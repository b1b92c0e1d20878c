"""Brings an image to the warehouse over several connections, and goes on where it was cut."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import structlog

from cardshop.contract.errors import ImageDamaged, TaskCanceled, Unavailable
from cardshop.image_format import PICTURE_SUFFIX, SBOM_SUFFIX, Chunk, Manifest, Range
from cardshop.transfer.replies import Run
from cardshop.transfer.session import Session
from cardshop.transfer.spans import MappedBytes, spans

CONNECTIONS = 3
"""At once: one is kept busy by TLS and waits for the line's round trip between pieces; more gain little."""

PIECE_BYTES = 64 * 1024 * 1024
"""Largest piece that is one transfer: what a connection has in hand."""

BLOCK_BYTES = 256 * 1024
REPAIRS = 2
"""Times that chunks are sent again which the warehouse finds wrong."""

CHECK_BYTES_PER_SECOND = 20_000_000
"""How slowly a warehouse's disk may be read while it checks an image."""

Observe = Callable[[int, int], None]
"""Called with (done, total), in mapped bytes of the image, often: the callee thins it out."""

log = structlog.get_logger("upload")


class _OthersEnded(Exception):
    """Another connection broke, or the upload is to end."""


class Upload:
    """One upload; :meth:`go_on` may be called again with a new session after the old one broke.

    Args:
        digest: names the image.
        folder: holds ``<digest>.json``, ``.bmap`` and ``.img``; where there are, ``.cdx.json`` (what is in
            it) and ``.png`` (a picture of its portal page).
        observe: is told the progress, in the thread that calls :meth:`go_on`.
        cancelled: asked often; True ends the upload.
        connect: opens one more session; raises Unavailable when there can be none.

    Raises:
        ImageDamaged: the manifest can't be read.
    """

    def __init__(
        self,
        digest: str,
        folder: Path,
        observe: Observe,
        cancelled: Callable[[], bool],
        connect: Callable[[], Session],
    ) -> None:
        self._digest = digest
        self._folder = folder
        self._observe = observe
        self._cancelled = cancelled
        self._connect = connect
        self._manifest = Manifest.from_file(folder / f"{digest}.json")
        self._mapped = MappedBytes(self._manifest.chunks)
        optional = [digest + suffix for suffix in (SBOM_SUFFIX, PICTURE_SUFFIX)]
        self._absent = {name for name in optional if not (folder / name).exists()}

    def go_on(self, session: Session) -> None:
        """Sends what the warehouse does not have yet, and completes the image.

        Raises:
            TaskCanceled: it was asked to end.
            ImageDamaged: the image file is not what its manifest says.
            Conflict: the warehouse keeps this image with another manifest.
            Unavailable: a connection broke.
        """
        for suffix in (".json", ".bmap", SBOM_SUFFIX):
            self._send_document(session, self._digest + suffix)
        image = f"{self._digest}.img"
        if not session.size(image):
            self._send_document(session, self._digest + PICTURE_SUFFIX)  # may differ from the kept image's
            self._send_image(session, image)
        self._observe(self._manifest.mapped_bytes, self._manifest.mapped_bytes)

    def _send_document(self, session: Session, name: str) -> None:
        if name in self._absent:
            return
        with (self._folder / name).open("rb") as file:
            session.send(f"{name}.part", 0, self._blocks(iter(lambda: file.read(BLOCK_BYTES), b"")))
        session.complete(name, patience=0)

    def _send_image(self, session: Session, image: str) -> None:
        patience = self._manifest.mapped_bytes / CHECK_BYTES_PER_SECOND
        missing: Sequence[Chunk] = self._manifest.chunks
        if session.size(f"{image}.part"):
            # What arrived of an earlier try lies wherever its connections were: the warehouse looks.
            missing = self._chunks_in(session.complete(image, patience))
        for _try in range(1 + REPAIRS):
            if not missing:
                return
            self._send_chunks(session, missing)
            missing = self._chunks_in(session.complete(image, patience))
        if missing:
            raise ImageDamaged(
                f"{image} is not what its manifest says at byte {missing[0].offset}.",
                hint="Build the image again.",
            )

    def _chunks_in(self, runs: Sequence[Run]) -> list[Chunk]:
        return [
            chunk
            for chunk in self._manifest.chunks
            if any(first <= chunk.offset <= last for first, last in runs)
        ]

    def _send_chunks(self, session: Session, chunks: Sequence[Chunk]) -> None:
        """Sends the chunks over this session and some more; each takes the next piece when it is free."""
        total = self._manifest.mapped_bytes
        done = total - sum(chunk.length for chunk in chunks)
        waiting = deque(_pieces(chunks))
        count = min(CONNECTIONS, len(waiting))
        sent: SimpleQueue[int | None] = SimpleQueue()
        stop = threading.Event()

        def work(own: Session | None) -> None:
            try:
                self._send_pieces(own, waiting, sent, stop)
            finally:
                sent.put(None)

        with ThreadPoolExecutor(count, thread_name_prefix="upload") as pool:
            lines = [pool.submit(work, None if number else session) for number in range(count)]
            try:
                while count:
                    moved = sent.get()
                    if moved is None:
                        count -= 1
                        continue
                    if self._cancelled():
                        raise TaskCanceled("The upload was canceled.")
                    done += moved
                    self._observe(done, total)
            finally:
                stop.set()
        errors = [error for line in lines if (error := line.exception()) is not None]
        for error in errors:
            if not isinstance(error, _OthersEnded):
                raise error

    def _send_pieces(
        self,
        own: Session | None,
        waiting: deque[Range],
        sent: SimpleQueue[int | None],
        stop: threading.Event,
    ) -> None:
        """One connection's share; without a session of its own it opens one, or leaves it to the others."""
        try:
            session = own or self._connect()
        except Unavailable as error:
            log.info("one connection fewer", reason=error.sentence)
            return
        try:
            while waiting and not stop.is_set():
                try:
                    piece = waiting.popleft()
                except IndexError:  # another connection took it
                    break
                session.send(f"{self._digest}.img.part", piece.offset, self._read(piece, sent, stop))
        except BaseException:
            stop.set()
            if own is None:
                session.drop()
            raise
        if own is None:
            session.close()

    def _read(self, piece: Range, sent: SimpleQueue[int | None], stop: threading.Event) -> Iterator[bytes]:
        with (self._folder / f"{self._digest}.img").open("rb") as file:
            file.seek(piece.offset)
            before = self._mapped.before(piece.offset)
            while file.tell() < piece.end:
                if stop.is_set():
                    raise _OthersEnded
                block = file.read(min(BLOCK_BYTES, piece.end - file.tell()))
                if not block:
                    raise ImageDamaged("The image file is shorter than its manifest says.")
                yield block
                now = self._mapped.before(file.tell())
                sent.put(now - before)
                before = now

    def _blocks(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._cancelled():
                raise TaskCanceled("The upload was canceled.")
            yield block


def _pieces(chunks: Sequence[Chunk]) -> Iterator[Range]:
    """The bytes of the chunks, over short gaps, in pieces that are one transfer each."""
    for span in spans(chunks):
        for offset in range(span.offset, span.end, PIECE_BYTES):
            yield Range(offset, min(PIECE_BYTES, span.end - offset))
