"""The work folder of one image: what is there under a final name is whole, the rest is thrown away."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.image_format import SBOM_SUFFIX, Manifest
from creator.cache import exclusively, sync_folder

_DIGEST = "[0-9a-f]" * 64


class WorkFolder:
    """The files of one image in the making and made. Get it from :func:`work_folder`."""

    def __init__(self, path: Path, digest: str) -> None:
        self.path = path
        self.image = path / f"{digest}.img"
        self.block_map = path / f"{digest}.bmap"
        self.sbom = path / f"{digest}{SBOM_SUFFIX}"
        self.manifest = path / f"{digest}.json"
        self._digest = digest

    @property
    def image_part(self) -> Path:
        """Where the image is put together."""
        return part(self.image)

    @property
    def scratch(self) -> Path:
        """The folder of what is unpacked on the way."""
        return part(self.path / "scratch")

    @property
    def room(self) -> Path:
        """Takes the image's room until the image does."""
        return part(self.path / "room")

    def finished(self) -> Manifest | None:
        """The manifest of the image that an earlier build finished here, if one did."""
        if not all(final.is_file() for final in self._finals()):
            return None
        try:
            manifest = Manifest.from_file(self.manifest)
        except ImageDamaged:
            return None
        is_it = manifest.digest == self._digest and self.image.stat().st_size == manifest.bytes
        return manifest if is_it else None

    def clear(self) -> None:
        """Removes whatever is here."""
        for item in self.path.iterdir():
            _remove(item)

    def clear_parts(self) -> None:
        """Removes what is unfinished here."""
        for item in self.path.glob("*.part*"):
            _remove(item)

    def finish(self) -> None:
        """The parts get their final names, durably; the manifest last, for it says that all is there."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for final in self._finals():
            with part(final).open("rb") as stream:
                os.fsync(stream.fileno())
        for final in self._finals():
            part(final).replace(final)
        sync_folder(self.path)

    def _finals(self) -> tuple[Path, ...]:
        return (self.image, self.block_map, self.sbom, self.manifest)


def part(final: Path) -> Path:
    """The name of a file that is not finished."""
    return final.with_name(final.name + ".part")


@contextmanager
def work_folder(work: Path, digest: str) -> Iterator[WorkFolder]:
    """The image's folder under ``work``, for this process alone; waits while another builds the same image.

    An error clears it. What a killed process left is cleared by the next, unless it is a finished image.
    """
    work.mkdir(parents=True, exist_ok=True)
    with held(work, digest):
        folder = WorkFolder(work / digest, digest)
        folder.path.mkdir(mode=0o700, exist_ok=True)
        try:
            yield folder
        except BaseException:
            folder.clear()
            raise


def held(work: Path, digest: str) -> AbstractContextManager[None]:
    """The image's folder is this process's alone; another that wants it waits."""
    return exclusively(work / f"{digest}.lock")


def discard(work: Path, digest: str) -> None:
    """Removes a built image that is no longer needed here."""
    with held(work, digest):
        shutil.rmtree(work / digest, ignore_errors=True)


def sweep(work: Path) -> None:
    """Removes what killed or canceled builds and trials left unfinished, unless somebody works there now."""
    for leftover in work.glob(f"{_DIGEST}/*.part*"):
        lock_file = work / f"{leftover.parent.name}.lock"
        with lock_file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(leftover)
            with suppress(OSError):  # a finished image's files stay
                leftover.parent.rmdir()


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink(missing_ok=True)
