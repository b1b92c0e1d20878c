"""The shelf's folder, as uploads fill it: what has its name there is a sound ZIM file, the one that was sent.

An upload writes ``<SHA-256 of the file>.zim.part``, so that it goes on after a cut and never mixes two files;
it gets its own name when its bytes are those of that checksum and the shelf would offer it. What the shelf
would not offer is deleted, and the refusal says why.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from cardshop.contract.errors import (
    Conflict,
    ContentDamaged,
    InvalidInput,
    NoSpace,
    NotFound,
    ProgramFailed,
)
from cardshop.metalink import is_zim_name
from cardshop.programs import run
from cardshop.sizes import size_said
from cardshop.transfer.shelving import check_patience
from warehouse.filesystem import file_sha256, file_size, rename_safely
from warehouse.open_files import PartFile
from warehouse.rights import PART, is_shelf_part

KEPT_FREE_BYTES = 1_000_000_000
"""Of the disk: images may share it, and a full one stops them."""

ABANDONED = timedelta(days=7)
"""A part that nobody wrote to for so long is deleted."""

_log = structlog.get_logger("warehouse")


@dataclass(frozen=True)
class Shelved:
    """A file of the shelf."""

    name: str
    size_bytes: int
    changed_at: datetime


def mlsd_line(file: Shelved) -> str:
    """The file as a list of MLSD tells it (RFC 3659)."""
    return f"type=file;size={file.size_bytes};modify={file.changed_at:%Y%m%d%H%M%S}; {file.name}\r\n"


class ShelfFolder:
    """The folder; safe for the threads of one process, which alone writes parts in it.

    Names are those that :func:`warehouse.rights.check` lets through. An admin may put files there and take
    them away by hand.

    Args:
        folder: the folder; None: the admin has set none.
        largest_bytes: of a file that may be uploaded.
    """

    def __init__(self, folder: Path | None, largest_bytes: int) -> None:
        self._set = folder
        self._largest_bytes = largest_bytes
        self._renaming = threading.Lock()
        self._arriving: list[tuple[PartFile, int]] = []  # with the size that each will have
        self._taking_room = threading.Lock()

    def files(self) -> list[Shelved]:
        """The ZIM files, by name, whoever put them there."""
        return sorted(self._files(), key=lambda file: file.name)

    def size(self, name: str) -> int:
        """Bytes of a file or a part. Raises NotFound."""
        return file_size(self._folder / name)

    def open_part(self, part: str, offset: int, size_bytes: int) -> PartFile:
        """A part, to be written from ``offset`` on: not past what it has, so that it gets no holes.

        Raises:
            InvalidInput: the file is too large, or would get a hole.
            NoSpace: the disk has too little room for the rest of it.
            Unavailable: another session writes or checks it.
        """
        if not size_bytes:
            raise InvalidInput("Say ALLO with the size of the whole file first.")
        if size_bytes > self._largest_bytes:
            raise InvalidInput(
                f"The file has {size_said(size_bytes)}; this shop takes files of up to "
                f"{size_said(self._largest_bytes)}. An admin can change that."
            )
        with _writing():
            file = PartFile(self._folder / part, limit=size_bytes)
        try:
            here = os.fstat(file.descriptor).st_size
            if offset > here:
                raise InvalidInput(f"The part has {here} bytes: go on from there.")
            self._take_room(file, size_bytes, size_bytes - here)
            os.ftruncate(file.descriptor, offset)
        except BaseException:
            if not os.fstat(file.descriptor).st_size:
                (self._folder / part).unlink()
            file.close()
            raise
        file.seek(offset)
        return file

    def complete(self, part: str, name: str, *, replace: bool) -> None:
        """Checks a part and gives it its name; a file that is there already and equal is a success.

        Raises:
            NotFound: there is no such part.
            ContentDamaged: it isn't the file that was sent; it is gone.
            InvalidInput: the shelf would not offer it; it is gone.
            Conflict: another file has the name, and is not to be replaced.
            Unavailable: another session writes it.
        """
        path, final = self._folder / part, self._folder / name
        sha256 = part.partition(".")[0]
        try:
            file = PartFile(path, create=False)
        except NotFound:
            if final.is_file() and file_sha256(final) == sha256:  # an earlier answer was lost
                return
            raise
        with file:
            try:
                _check(path, name, sha256)
            except (ContentDamaged, InvalidInput):
                path.unlink()
                raise
            with self._renaming:
                if os.path.lexists(final) and not replace:
                    if final.is_file() and file_sha256(final) == sha256:
                        path.unlink()
                        return
                    raise Conflict(f"There is another {name} on the shelf, and it was not to be replaced.")
                rename_safely(file, path, final)

    def delete(self, name: str) -> None:
        """Deletes a file. Who reads it at that moment reads it to its end. Raises NotFound."""
        with _writing():
            try:
                (self._folder / name).unlink()
            except FileNotFoundError:
                raise NotFound(f"There is no file {name}.") from None

    def drop_abandoned(self, now: datetime) -> None:
        """Deletes the parts of uploads that nobody went on with."""
        if self._set is None:
            return
        for path in self._set.glob(f"*.zim{PART}"):
            if is_shelf_part(path.name) and _changed_at(path.lstat()) + ABANDONED < now:
                _log.info("part-deleted", file=path.name)
                path.unlink()

    @property
    def _folder(self) -> Path:
        if self._set is None:
            raise Conflict(
                "This shop takes no uploads: its admin has set no folder for them (CARDSHOP_SHELF)."
            )
        return self._set

    def _files(self) -> Iterator[Shelved]:
        for path in self._folder.glob("*.zim"):
            try:
                status = path.stat()
            except OSError:
                continue  # it went, or is a link to nothing
            if path.is_file() and is_zim_name(path.name):
                yield Shelved(path.name, status.st_size, _changed_at(status))

    def _take_room(self, file: PartFile, size_bytes: int, missing: int) -> None:
        """Notes what will arrive: of two uploads, each sees the room that the other still needs."""
        with self._taking_room:
            self._arriving = [(other, size) for other, size in self._arriving if not other.closed]
            promised = sum(size - Path(other.name).stat().st_size for other, size in self._arriving)
            free = shutil.disk_usage(self._folder).free - KEPT_FREE_BYTES - promised
            if missing > free:
                raise NoSpace(
                    f"The shelf's disk has {size_said(max(free, 0)) or 'nothing'} to give; the file needs "
                    f"{size_said(missing)} more. Delete what is no longer used, or ask an admin for room."
                )
            self._arriving.append((file, size_bytes))


def _check(path: Path, name: str, sha256: str) -> None:
    """Looks at the file in a process of its own.

    Reading one of many gigabytes holds up no session there, and a damaged one takes only that process along.

    Raises:
        ContentDamaged: its bytes are not those of the checksum.
        InvalidInput: the shelf would not offer it under that name.
    """
    program = [sys.executable, "-P", "-m", "warehouse.shelf.check", str(path), name]
    try:
        found = json.loads(run(program, timeout=check_patience(path.stat().st_size)).stdout)
    except (ProgramFailed, ValueError) as error:
        _log.warning("not-checked", file=name, reason=str(error))
        raise InvalidInput("It can't be read as a ZIM file.") from None
    if found["sha256"] and found["sha256"] != sha256:
        raise ContentDamaged("What arrived is not the file that was sent. Upload it again.")
    if found["problem"]:
        raise InvalidInput(str(found["problem"]))


@contextmanager
def _writing() -> Iterator[None]:
    """Raises Conflict where the warehouse's account may not write: trying again does not mend that."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise Conflict(
            f"The warehouse may not write into the shelf's folder ({error.strerror}): tell an admin."
        ) from None


def _changed_at(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
