"""The folder of images: what is kept under its final name is complete and proven."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from itertools import islice
from pathlib import Path

from cardshop.contract.errors import Conflict, ImageDamaged, InvalidInput, NotFound
from cardshop.image_format import PICTURE_SUFFIX, PNG, SBOM_SUFFIX, BlockMap, Manifest
from cardshop.transfer.checking import wrong_runs
from cardshop.transfer.replies import MOST_RUNS, chunks_to_send_again
from warehouse.open_files import KeptFile, PartFile
from warehouse.rights import PART, SUFFIXES

GONE = ".gone"
"""Ends the names of an image's files that are set aside."""

DOCUMENT_BYTES = 64 * 1024 * 1024
"""Largest manifest or block map: those of an image of 1 TB take about half."""


class ImageFolder:
    """Keeps images; safe for the threads of one process. One process owns the folder.

    Names are those that :func:`warehouse.rights.check` lets through. An image is kept once its ``.img`` has
    its final name, and from then on none of its files changes. Before that, a new manifest or block map may
    take the place of an older one: a build that was begun again may differ from the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._renaming = threading.Lock()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder

    def size(self, name: str) -> int:
        """Bytes of the file. Raises NotFound."""
        return file_size(self._folder / name)

    def is_kept(self, digest: str) -> bool:
        """Whether the image is complete."""
        return self._exists(f"{digest}.img")

    def open_kept(self, name: str, first: int = 0, end: int | None = None) -> KeptFile:
        """A file of a complete image, to be read. Raises NotFound."""
        if not self.is_kept(_digest(name)):
            raise NotFound("This image is not complete.")
        return KeptFile(self._folder / name, first, end)

    def open_part(self, name: str, offset: int) -> PartFile:
        """A part, to be written from ``offset`` on.

        A manifest or block map is always written anew, whole, by one session; an image keeps what it has, and
        several sessions may send pieces of it at once.

        Raises:
            InvalidInput: a manifest or block map from elsewhere than its start.
            Conflict: the image is complete, or its manifest is not there yet.
            Unavailable: another session writes or checks it.
        """
        if not name.endswith(".img" + PART):
            if offset:
                raise InvalidInput("Manifests and block maps are sent whole, from their start.")
            document = PartFile(self._folder / name, limit=DOCUMENT_BYTES)
            os.ftruncate(document.descriptor, 0)
            return document
        digest = _digest(name)
        image = PartFile(self._folder / name, limit=self._manifest(digest).bytes, shared=True)
        if self.is_kept(digest):
            (self._folder / name).unlink()
            image.close()
            raise Conflict("This image is complete; nothing can be added to it.")
        image.seek(offset)
        return image

    def complete(self, name: str) -> None:
        """Checks a part and gives it its final name; a file that is there already and equal is a success.

        Args:
            name: the final name.

        Raises:
            NotFound: there is no such part.
            ImageDamaged: it is not what it must be; the part stays, to be repaired.
            Conflict: the image is complete and has another manifest, or the manifest is not there yet.
            Unavailable: another session writes it.
        """
        if name.endswith(".img"):
            if not self.is_kept(_digest(name)):
                self._complete_image(name)
        else:
            self._complete_document(name)

    def set_aside(self, digest: str) -> bool:
        """Takes the image out of use, so that it can be deleted or put back; False when it isn't kept here.

        What an earlier process began is done to its end.
        """
        with self._renaming:
            aside = self._exists(f"{digest}.img{GONE}")
            if not (self.is_kept(digest) or aside):
                return False
            if not (aside and self._brought_anew(digest)):
                for suffix in reversed(SUFFIXES):  # the image first: without it the others don't count
                    if self._exists(digest + suffix):
                        (self._folder / (digest + suffix)).rename(self._folder / (digest + suffix + GONE))
        return True

    def put_back(self, digest: str) -> None:
        """Undoes :meth:`set_aside`; where the image is brought anew meanwhile, that one stays."""
        with self._renaming:
            if not self._brought_anew(digest):
                for suffix in SUFFIXES:
                    if self._exists(digest + suffix + GONE):
                        (self._folder / (digest + suffix + GONE)).rename(self._folder / (digest + suffix))
        self.delete(digest)

    def delete(self, digest: str) -> None:
        """Deletes what was set aside."""
        for suffix in reversed(SUFFIXES):
            (self._folder / (digest + suffix + GONE)).unlink(missing_ok=True)

    def aside(self) -> list[str]:
        """Digests of the images that are set aside."""
        return sorted({path.name.partition(".")[0] for path in self._folder.glob(f"*{GONE}")})

    def _brought_anew(self, digest: str) -> bool:
        return self.is_kept(digest) or self._exists(f"{digest}.img{PART}")

    def _complete_document(self, name: str) -> None:
        part, final = self._folder / (name + PART), self._folder / name
        with PartFile(part, create=False) as file, self._renaming:
            self._check_document(part, name)
            if self._exists(name) and final.read_bytes() == part.read_bytes():
                part.unlink()
                return
            if self.is_kept(_digest(name)):
                part.unlink()
                raise Conflict(f"This image is complete, with another {name}.")
            if name == f"{_digest(name)}.json":
                self._drop_image_part(_digest(name))
            rename_safely(file, part, final)

    def _check_document(self, part: Path, name: str) -> None:
        if name.endswith(".bmap"):
            BlockMap.from_file(part)
        elif name.endswith(SBOM_SUFFIX):
            if file_sha256(part) != self._manifest(_digest(name)).sbom_sha256:
                raise ImageDamaged("The list of contents is not the one that the manifest names.")
        elif name.endswith(PICTURE_SUFFIX):
            if not part.read_bytes().startswith(PNG):
                raise ImageDamaged("The picture is no PNG file.")
        elif Manifest.from_file(part).digest != _digest(name):
            raise ImageDamaged("The manifest is that of another image.")

    def _drop_image_part(self, digest: str) -> None:
        """What was uploaded for another manifest is of no use, and its bytes in holes would stay."""
        part = self._folder / f"{digest}.img{PART}"
        if self._exists(part.name):
            with PartFile(part, create=False):
                part.unlink()

    def _complete_image(self, name: str) -> None:
        digest = _digest(name)
        part = self._folder / (name + PART)
        manifest = self._manifest(digest)
        self._check_beside(digest, manifest)
        with PartFile(part, create=False) as file:
            wrong = list(islice(wrong_runs(file.descriptor, manifest.chunks), MOST_RUNS))
            if wrong:
                again = chunks_to_send_again(wrong)
                raise ImageDamaged(f"The image is not what its manifest says. {again}")
            # A hole at the end can't be uploaded; the manifest says how long it is.
            os.ftruncate(file.descriptor, manifest.bytes)
            os.fsync(file.descriptor)
            with self._renaming:
                if self._manifest(digest) != manifest:
                    raise Conflict("The manifest changed while the image was checked.")
                rename_safely(file, part, self._folder / name)

    def _check_beside(self, digest: str, manifest: Manifest) -> None:
        """Raises Conflict when a file that the image must have beside it isn't there."""
        if not self._exists(f"{digest}.bmap"):
            raise Conflict("The block map comes before the image.")
        bill = self._folder / (digest + SBOM_SUFFIX)
        if manifest.sbom_sha256 is not None and not (
            bill.exists() and file_sha256(bill) == manifest.sbom_sha256
        ):
            raise Conflict("The list of contents comes before the image.")

    def _manifest(self, digest: str) -> Manifest:
        if not self._exists(f"{digest}.json"):
            raise Conflict("The manifest comes before the image.")
        return Manifest.from_file(self._folder / f"{digest}.json")

    def _exists(self, name: str) -> bool:
        return os.path.lexists(self._folder / name)


def file_size(path: Path) -> int:
    """Bytes of a plain file. Raises NotFound, for a link too."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path.name}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise NotFound(f"There is no file {path.name}.")
    return status.st_size


def rename_safely(file: PartFile, part: Path, final: Path) -> None:
    """Gives a part its final name, both on the disk: a power cut leaves the one or the other, whole."""
    os.fsync(file.descriptor)
    part.rename(final)
    folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(name: str) -> str:
    return name.partition(".")[0]
