"""Files as a data channel uses them: written or read once, from an offset on."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

from cardshop.contract.errors import NotFound, Unavailable


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of the plain file at ``path``. Raises NotFound for anything else, links included."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"There is no file {path.name}.") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NotFound(f"There is no file {path.name}.") from None
        raise
    if not os.path.isfile(f"/proc/self/fd/{descriptor}"):  # noqa: PTH113 - asks the open file, not a path
        os.close(descriptor)
        raise NotFound(f"There is no file {path.name}.")
    return descriptor


class PartFile:
    """The ``.part`` of an upload, locked until it is closed: for this one session, or for those that send.

    Without the lock, a session that still had the file open could change an image after it was verified.

    Args:
        path: of the part; made when missing.
        limit: the file never grows past this many bytes.
        create: whether it is made when missing.
        shared: other sessions may send pieces of it at the same time.

    Raises:
        Unavailable: another session has it.
    """

    def __init__(self, path: Path, *, limit: int = 0, create: bool = True, shared: bool = False) -> None:
        self.name = str(path)
        self.closed = False
        self.descriptor = open_regular(path, os.O_RDWR | (os.O_CREAT if create else 0))
        self._position = 0
        self._limit = limit
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise Unavailable(f"Another session works on {path.name}; try again.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seek(self, position: int) -> None:
        """The next write goes there; it may lie beyond the end, which leaves a hole."""
        self._position = position

    def write(self, data: bytes) -> int:
        """Writes all of ``data``. Raises OSError (EFBIG) past the limit, and as the system does."""
        if self._position + len(data) > self._limit:
            raise OSError(errno.EFBIG, "The file would be larger than it may be")
        view = memoryview(data)
        while view:
            written = os.pwrite(self.descriptor, view, self._position)
            self._position += written
            view = view[written:]
        return len(data)

    def close(self) -> None:
        """Gives the file back."""
        if not self.closed:
            self.closed = True
            os.close(self.descriptor)


class KeptFile:
    """A kept file, read from byte ``first`` up to, not including, ``end`` (None: its own end)."""

    def __init__(self, path: Path, first: int = 0, end: int | None = None) -> None:
        self.name = str(path)
        self.closed = False
        self._descriptor = open_regular(path, os.O_RDONLY)
        self._position = first
        size = os.fstat(self._descriptor).st_size
        self._end = size if end is None else min(end, size)

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes; none at the end."""
        data = os.pread(self._descriptor, max(0, min(count, self._end - self._position)), self._position)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Gives the file back."""
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)
