"""Unpacks an archive that somebody else made: nothing leaves its folder, and nothing grows past its limits.

Files become root's, with the mode that the archive says, without set-user-id and the like. Devices and pipes
are refused, and so are paths and links that lead out of the folder. (Python's tarfile has a filter for that
since 3.11.4; Debian 12 has 3.11.2.)
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from cardshop.contract.errors import ContentDamaged
from creator.image.tree import FILE_MODE, LONGEST_LINK_BYTES, File, Folder, Link

MOST_ENTRIES = 200_000
"""An archive with more files is refused: each takes an inode, and time."""

_LARGEST_HEADER_BYTES = 1024 * 1024
_ENTRY_OVERHEAD_BYTES = 4096
_BUFFER_BYTES = 1024 * 1024
_NAMES = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)

_BROKEN = (
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
)


def unpack(
    archive: Path, via: str, into: Path, *, limit_bytes: int, path: str, ident: str
) -> list[File | Link | Folder]:
    """Unpacks ``archive`` into the folder ``into``, which is made.

    Args:
        archive: the file.
        via: its kind, one of :data:`cardshop.contract.tasks.ARCHIVES`.
        into: where the files go here.
        limit_bytes: what all its files may have together.
        path: the folder on the card that they go to.
        ident: the content's, for errors.

    Returns:
        What it holds, as it goes on the card.

    Raises:
        ContentDamaged: it is no such archive, leads out of its folder, or has more than it may.
    """
    into.mkdir(parents=True)
    try:
        if via == "zip":
            _unpack_zip(archive, into, limit_bytes)
        else:
            _unpack_tar(archive, via, into, limit_bytes)
    except _Refused as error:
        raise _damaged(path, str(error), ident) from None
    except _BROKEN as error:
        raise _damaged(path, f"it is no {via} archive ({error})", ident) from error
    except (UnicodeError, RuntimeError) as error:
        raise _damaged(path, f"it can't be unpacked ({error})", ident) from error
    except OSError as error:
        if error.errno not in _NAMES:
            raise
        raise _damaged(path, f"its names can't be on a card ({error.strerror})", ident) from error
    return list(_listed(into, path, ident))


class _Refused(Exception):
    """Says why the archive isn't taken."""


class _Guarded:
    """What a decompressor gives, for tarfile: no more of it than may be, and no giant header at once."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _LARGEST_HEADER_BYTES:
            raise _Refused("one of its headers is too large")
        self._check(size)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._check(offset - self.tell())
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, size: int) -> None:
        if self.tell() + size > self._limit:
            raise _Refused("it unpacks to more than its size says")


def _decompressed(archive: Path, via: str) -> IO[bytes]:
    match via:
        case "gztar":
            return cast("IO[bytes]", gzip.open(archive, "rb"))
        case "bztar":
            return bz2.open(archive, "rb")
        case "xztar":
            return lzma.open(archive, "rb")
        case _:
            return archive.open("rb")


def _unpack_tar(archive: Path, via: str, into: Path, limit_bytes: int) -> None:
    left = limit_bytes
    # Tar writes whole records of up to 10 KiB, and headers beside the files.
    most = limit_bytes + MOST_ENTRIES * _ENTRY_OVERHEAD_BYTES + _LARGEST_HEADER_BYTES
    with _decompressed(archive, via) as stream:
        guarded: Any = _Guarded(stream, most)
        with tarfile.open(fileobj=guarded, mode="r:") as reader:
            for count, member in enumerate(reader, 1):
                if count > MOST_ENTRIES:
                    raise _Refused(f"it has more than {MOST_ENTRIES:,} entries")
                left -= member.size if member.isreg() else 0
                if left < 0:
                    raise _Refused("it unpacks to more than its size says")
                _tame(member, into)
                reader.extract(member, into)
                # On the card a hard link is a file of its own.
                left -= (into / member.name).lstat().st_size if member.islnk() else 0


def _tame(member: tarfile.TarInfo, into: Path) -> None:
    """Makes of a member what may be unpacked. Raises _Refused."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise _Refused(f"{member.name} is a device or a pipe")
    member.name = member.name.lstrip("/")
    _check_inside(into, into / member.name)
    if member.issym():
        if Path(member.linkname).is_absolute():
            raise _Refused(f"it leads out of its folder ({member.name})")
        _check_inside(into, (into / member.name).parent / member.linkname)
    elif member.islnk():
        _check_inside(into, into / member.linkname)
    # Nobody's set-user-id, nobody but the owner writes, and folders are as the card's are.
    member.mode = 0o755 if member.isdir() else member.mode & 0o755 | 0o600
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""


def _check_inside(folder: Path, place: Path) -> None:
    """Raises _Refused when a path, with the links that were unpacked by now, leads out of the folder."""
    if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)):
        raise _Refused(f"it leads out of its folder ({place.name})")


def _unpack_zip(archive: Path, into: Path, limit_bytes: int) -> None:
    with zipfile.ZipFile(archive) as reader:
        members = reader.infolist()
        if len(members) > MOST_ENTRIES:
            raise _Refused(f"it has more than {MOST_ENTRIES:,} entries")
        if sum(member.file_size for member in members) > limit_bytes:
            raise _Refused("it unpacks to more than its size says")
        for member in members:
            name = PurePosixPath(member.filename)
            if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
                raise _Refused(f"it leads out of its folder ({member.filename})")
            target = into / name
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with reader.open(member) as source, target.open("wb") as file:
                while data := source.read(_BUFFER_BYTES):
                    file.write(data)
            target.chmod(FILE_MODE)


def _listed(folder: Path, path: str, ident: str) -> Iterator[File | Link | Folder]:
    yield Folder(path)
    for entry in sorted(folder.iterdir()):
        there = f"{path}/{entry.name}"
        status = entry.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = str(entry.readlink())
            if len(os.fsencode(target)) > LONGEST_LINK_BYTES:
                raise _damaged(path, f"{entry.name} leads too far", ident)
            yield Link(there, target)
        elif stat.S_ISDIR(status.st_mode):
            yield from _listed(entry, there, ident)
        else:
            with entry.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            yield File(there, entry, sha256, ident, mode=stat.S_IMODE(status.st_mode))


def _damaged(path: str, why: str, ident: str) -> ContentDamaged:
    return ContentDamaged(
        f"The archive for {path} is refused: {why}.",
        hint="See what the archive holds; size in the recipe is what it has unpacked.",
        field=ident,
    )
