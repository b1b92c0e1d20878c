"""Copies files to their places in an image inside the kernel, while others read what has arrived."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from cardshop.contract.errors import CardshopError
from cardshop.fit import BLOCK_BYTES, MIB
from cardshop.image_format import Range
from creator.image.filling import Filling, FillingEnded

_AT_ONCE_BYTES = 32 * MIB
_SYNC_WRITE = 2  # SYNC_FILE_RANGE_WRITE of <linux/fs.h>
_CLONE_RANGE = 0x4020940D  # FICLONERANGE of <linux/fs.h>
_CLONED = struct.Struct("qQQQ")
"""``struct file_clone_range``: source, its offset, length, offset in the target."""

_CANT_COPY_INSIDE = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_CANT_CLONE = (*_CANT_COPY_INSIDE, errno.ENOTTY, errno.EPERM)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Piece:
    """Bytes of a file that lie in one place of the image."""

    source: Path
    start: int  # in the source
    place: Range  # in the image
    shorter: CardshopError  # says that the file became shorter


@contextmanager
def copied_meanwhile(
    image: Path, pieces: Sequence[Piece], observe: Callable[[int], None]
) -> Iterator[Filling]:
    """Copies the pieces in another thread; when this is left, they are in the image and on the disk.

    Args:
        image: the image file.
        pieces: what to copy; whether the bytes are right, the proof finds.
        observe: called by that thread with the bytes of each step.

    Raises:
        CardshopError: a file became shorter; its piece has the error.
        OSError: the disk is full (ENOSPC); the room for all is taken before the first byte is copied.
    """
    filling = Filling()
    with ThreadPoolExecutor(1, thread_name_prefix="copy") as aside:
        copying = aside.submit(_copy_all, image, pieces, filling, observe)
        try:
            yield filling
            copying.result()
        except FillingEnded:
            copying.result()  # says why
            raise
        finally:
            filling.stop()


def _copy_all(image: Path, pieces: Sequence[Piece], filling: Filling, observe: Callable[[int], None]) -> None:
    target = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        ascending = sorted(pieces, key=lambda piece: piece.place.offset)
        left = [_not_cloned(target, piece, observe) for piece in ascending]
        for piece in left:
            if piece.place.length:
                os.posix_fallocate(target, piece.place.offset, piece.place.length)
        for piece in left:
            _copy(target, piece, filling, observe)
        filling.finish()
        os.fsync(target)
    except BaseException:
        filling.stop()
        raise
    finally:
        os.close(target)


def _not_cloned(target: int, piece: Piece, observe: Callable[[int], None]) -> Piece:
    """Shares the piece's blocks with its source, where the file system can; gives what is left to copy."""
    length = piece.place.length // BLOCK_BYTES * BLOCK_BYTES
    if not length:
        return piece
    with piece.source.open("rb", buffering=0) as source:
        wanted = _CLONED.pack(source.fileno(), piece.start, length, piece.place.offset)
        try:
            fcntl.ioctl(target, _CLONE_RANGE, wanted)
        except OSError as error:
            if error.errno not in _CANT_CLONE:
                raise
            return piece
    observe(length)
    rest = Range(piece.place.offset + length, piece.place.length - length)
    return replace(piece, start=piece.start + length, place=rest)


def _copy(target: int, piece: Piece, filling: Filling, observe: Callable[[int], None]) -> None:
    done = 0
    with piece.source.open("rb", buffering=0) as source:
        while done < piece.place.length:
            wanted = min(_AT_ONCE_BYTES, piece.place.length - done)
            offset = piece.place.offset + done
            copied = _copy_some(source.fileno(), target, wanted, piece.start + done, offset)
            if not copied:
                raise piece.shorter
            _begin_writing(target, offset, copied)
            filling.reach(offset + copied)
            done += copied
            observe(copied)


def _copy_some(source: int, target: int, count: int, source_offset: int, target_offset: int) -> int:
    try:
        return os.copy_file_range(source, target, count, source_offset, target_offset)
    except OSError as error:
        if error.errno not in _CANT_COPY_INSIDE:
            raise
    os.lseek(target, target_offset, os.SEEK_SET)
    return os.sendfile(target, source, source_offset, count)


def _begin_writing(target: int, offset: int, length: int) -> None:
    """Lets the disk begin with these bytes: the kernel by itself waits until much of the memory is full."""
    if not _libc().sync_file_range(target, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_WRITE):
        return
    log.debug("writing not begun early", offset=offset, errno=ctypes.get_errno())


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
