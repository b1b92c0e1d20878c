"""Which chunks of an image that is being fetched are here, and right: for all who can use them already.

``<digest>.arrived`` has a byte for each chunk of the manifest, 1 when the chunk was checked and lies in
``<digest>.img.part``. The one process that fetches writes it, whoever wants may read. It is a promise of this
start of the host only: after a loss of power what was marked may be gone, so who fetches looks at all again,
and who uses a chunk checks it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cardshop.image_format import Chunk, Manifest

_HERE = 1


class Marks:
    """Written by the process that fetches, and begun anew by each that goes on with the download.

    Args:
        folder: of the image.
        digest: its name.
        chunks: all of the manifest.
    """

    def __init__(self, folder: Path, digest: str, chunks: Sequence[Chunk]) -> None:
        self._number = {chunk.offset: number for number, chunk in enumerate(chunks)}
        path = _path(folder, digest)
        part = path.with_suffix(".arrived.part")
        part.write_bytes(bytes(len(chunks)))
        self._descriptor = os.open(part, os.O_WRONLY | os.O_CLOEXEC)
        part.rename(path)

    def mark(self, chunk: Chunk) -> None:
        """The chunk is here."""
        os.pwrite(self._descriptor, bytes([_HERE]), self._number[chunk.offset])

    def close(self) -> None:
        """No more is marked."""
        os.close(self._descriptor)


class Arrivals:
    """Read by those who use an image that may still be on its way.

    Args:
        folder: of the image.
        digest: its name.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self._folder = folder
        self._digest = digest

    @property
    def is_whole(self) -> bool:
        """Whether all of the image is here."""
        return (self._folder / f"{self._digest}.img").exists()

    @property
    def has_begun(self) -> bool:
        """Whether the manifest is here, and that of the image that is fetched now."""
        return self.is_whole or _path(self._folder, self._digest).exists()

    def manifest(self) -> Manifest:
        """The image's manifest. Raises ImageDamaged."""
        return Manifest.from_file(self._folder / f"{self._digest}.json")

    def marked(self) -> bytes:
        """A byte for each chunk: not 0 when it is here. Nothing is known when it is empty."""
        try:
            return _path(self._folder, self._digest).read_bytes()
        except FileNotFoundError:
            return b""

    def open_image(self) -> int:
        """A descriptor to read what is here. Raises FileNotFoundError: nothing is."""
        image = self._folder / f"{self._digest}.img"
        for path in (image, image.with_suffix(".img.part")):
            try:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
        return os.open(image, os.O_RDONLY | os.O_CLOEXEC)  # it became whole between the two looks


def forget(folder: Path, digest: str) -> None:
    """The image is whole, or what is here of it is not known any more."""
    _path(folder, digest).unlink(missing_ok=True)


def _path(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.arrived"
