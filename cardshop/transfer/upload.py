"""Brings an image to the warehouse, and goes on where it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, TaskCanceled
from cardshop.image_format import PICTURE_SUFFIX, SBOM_SUFFIX, Chunk, Manifest, Range
from cardshop.transfer.session import Session
from cardshop.transfer.spans import MappedBytes, spans

BLOCK_BYTES = 256 * 1024
REPAIRS = 2
"""Times that chunks are sent again which the warehouse finds wrong."""

CHECK_BYTES_PER_SECOND = 20_000_000
"""How slowly a warehouse's disk may be read while it checks an image."""

Observe = Callable[[int, int], None]
"""Called with (done, total), in mapped bytes of the image, often: the callee thins it out."""


class Upload:
    """One upload; :meth:`go_on` may be called again with a new session after the old one broke.

    Args:
        digest: names the image.
        folder: holds ``<digest>.json``, ``.bmap`` and ``.img``; where there are, ``.cdx.json`` (what is in
            it) and ``.png`` (a picture of its portal page).
        observe: is told the progress.
        cancelled: asked often; True ends the upload.

    Raises:
        ImageDamaged: the manifest can't be read.
    """

    def __init__(self, digest: str, folder: Path, observe: Observe, cancelled: Callable[[], bool]) -> None:
        self._digest = digest
        self._folder = folder
        self._observe = observe
        self._cancelled = cancelled
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
            Unavailable: the connection broke.
        """
        for suffix in (".json", ".bmap", SBOM_SUFFIX):
            self._send_document(session, self._digest + suffix)
        image = f"{self._digest}.img"
        if not session.size(image):
            self._send_document(session, self._digest + PICTURE_SUFFIX)  # may differ from the kept image's
            # Chunks go in ascending order, so whatever lies below the part's end has arrived.
            arrived = session.size(f"{image}.part")
            self._send_chunks(session, [chunk for chunk in self._manifest.chunks if chunk.end > arrived])
            self._complete(session, image)
        self._observe(self._manifest.mapped_bytes, self._manifest.mapped_bytes)

    def _send_document(self, session: Session, name: str) -> None:
        if name in self._absent:
            return
        with (self._folder / name).open("rb") as file:
            session.send(f"{name}.part", 0, self._blocks(iter(lambda: file.read(BLOCK_BYTES), b"")))
        session.complete(name, patience=0)

    def _send_chunks(self, session: Session, chunks: Iterable[Chunk]) -> None:
        for span in spans(chunks):
            session.send(f"{self._digest}.img.part", span.offset, self._blocks(self._read(span)))

    def _complete(self, session: Session, image: str) -> None:
        patience = self._manifest.mapped_bytes / CHECK_BYTES_PER_SECOND
        wrong = session.complete(image, patience)
        for _repair in range(REPAIRS):
            if not wrong:
                return
            self._send_chunks(session, [chunk for chunk in self._manifest.chunks if chunk.offset in wrong])
            wrong = session.complete(image, patience)
        if wrong:
            raise ImageDamaged(
                f"{image} is not what its manifest says at byte {wrong[0]}.", hint="Build the image again."
            )

    def _read(self, span: Range) -> Iterator[bytes]:
        with (self._folder / f"{self._digest}.img").open("rb") as file:
            file.seek(span.offset)
            while file.tell() < span.end:
                block = file.read(min(BLOCK_BYTES, span.end - file.tell()))
                if not block:
                    raise ImageDamaged("The image file is shorter than its manifest says.")
                yield block
                self._observe(self._mapped.before(file.tell()), self._manifest.mapped_bytes)

    def _blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._cancelled():
                raise TaskCanceled("The upload was canceled.")
            yield block
