"""A content in the making: the file it grows in, and which of its pieces are there.

The pieces may come in any order. Beside ``<sha256>.part``, which has its full size from the start (so that
the room is taken before anything is fetched), ``<sha256>.pieces`` holds the pieces' length and a byte for
each that is there. A killed fetch leaves both; what is marked there is not fetched again.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from cardshop.metalink import Pieces

PIECE_BYTES = 1024 * 1024
"""Of a content whose metalink tells no pieces."""

_HEAD_BYTES = 8
_MISSING, _THERE = 0, 1


class PartFile:
    """The part of a content. Close it, or use it in a ``with``; not safe for several threads.

    Args:
        path: the part; its marks lie beside it.
        size: bytes of the whole content.
        pieces: the checksums of its pieces, where they are known.

    Raises:
        OSError: there is no room for it (ENOSPC), or the files can't be used.
    """

    def __init__(self, path: Path, size: int, pieces: Pieces | None) -> None:
        self.size = size
        self.pieces = pieces
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._marks_file = os.open(marks_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if size:
                os.posix_fallocate(self._file, 0, size)
            os.truncate(self._file, size)
            self._read_marks()
        except BaseException:
            if not os.fstat(self._marks_file).st_size:  # room that was taken for nothing
                path.unlink()
                marks_of(path).unlink()
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the files back to the system."""
        os.close(self._file)
        os.close(self._marks_file)

    @property
    def count(self) -> int:
        """How many pieces the content has."""
        return -(-self.size // self.length)

    @property
    def bytes_there(self) -> int:
        """How much of the content is there."""
        whole = self._marks.count(_THERE) * self.length
        last_is_there = bool(self._marks) and self._marks[-1] == _THERE
        return whole - (self.count * self.length - self.size if last_is_there else 0)

    @property
    def is_whole(self) -> bool:
        """Whether every piece is there."""
        return _MISSING not in self._marks

    def is_there(self, index: int) -> bool:
        """Whether the piece ``index`` is there."""
        return self._marks[index] == _THERE

    def start(self, index: int) -> int:
        """Where the piece ``index`` begins; that of the piece after the last is the content's size."""
        return min(index * self.length, self.size)

    def read(self, index: int) -> bytes:
        """The bytes of the piece ``index``."""
        return os.pread(self._file, self.start(index + 1) - self.start(index), self.start(index))

    def put(self, index: int, data: bytes | memoryview) -> None:
        """The piece ``index`` is there; it is marked after its bytes are written."""
        view, offset = memoryview(data), self.start(index)
        while view:
            written = os.pwrite(self._file, view, offset)
            view, offset = view[written:], offset + written
        self._mark(index, _THERE)

    def is_good(self, index: int, data: bytes | memoryview) -> bool:
        """Whether ``data`` can be the piece ``index``: by its checksum where there is one."""
        return self.pieces is None or self.pieces.is_good(index, data)

    def forget_wrong(self) -> int:
        """Looks at every piece that is there; those with wrong bytes are there no more. Returns how many."""
        wrong = 0
        for index in range(self.count):
            if self.is_there(index) and not self.is_good(index, self.read(index)):
                self._mark(index, _MISSING)
                wrong += 1
        return wrong

    def forget_all(self) -> None:
        """Nothing of the content is there any more."""
        self._marks = bytearray(self.count)
        os.ftruncate(self._marks_file, 0)
        os.pwrite(self._marks_file, self.length.to_bytes(_HEAD_BYTES, "big") + self._marks, 0)

    def _mark(self, index: int, mark: int) -> None:
        self._marks[index] = mark
        os.pwrite(self._marks_file, bytes([mark]), _HEAD_BYTES + index)

    def _read_marks(self) -> None:
        told = os.pread(self._marks_file, os.fstat(self._marks_file).st_size, 0)
        length = int.from_bytes(told[:_HEAD_BYTES], "big")
        usable = length > 0 and len(told) == _HEAD_BYTES + -(-self.size // length)
        self.length = self.pieces.length if self.pieces else length if usable else PIECE_BYTES
        if usable and length == self.length:
            self._marks = bytearray(told[_HEAD_BYTES:])
            return
        self.forget_all()
        if usable and self.pieces is not None:  # cut otherwise by an earlier fetch: look what is good
            for index in range(self.count):
                if self.is_good(index, self.read(index)):
                    self._mark(index, _THERE)


def marks_of(part: Path) -> Path:
    """The file of the part's marks."""
    return part.with_suffix(".pieces")
