"""The data partition: an ext4 file system made anew, each file written straight to where its blocks are."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import structlog

from cardshop.contract.errors import ContentDamaged
from cardshop.fit import BLOCK_BYTES, BYTES_PER_INODE, INODE_BYTES, JOURNAL_BYTES, MIB, Layout
from cardshop.image_format import Range
from cardshop.programs import run
from creator.image.ext4 import ROOT_INODE, Ext4
from creator.image.tree import Tree

LABEL = "data"

FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
"""Named one by one: a host's own mke2fs.conf must not change an image."""

_PIECE_BYTES = 32 * MIB
_SYNC_WRITE = 2  # SYNC_FILE_RANGE_WRITE of <linux/fs.h>
log = structlog.get_logger(__name__)

_CANT_COPY_INSIDE = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def make_file_system(image: Path, layout: Layout, digest: str, now: int) -> None:
    """Makes the empty file system; its identity comes from the image's digest, its dates are ``now``."""
    options = (
        f"offset={layout.data_offset},nodiscard,packed_meta_blocks=1,root_owner=0:0,"
        f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={UUID(hex=digest[32:], version=4)}"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(now), "E2FSPROGS_FAKE_TIME": str(now)}
    run(
        [
            *("mke2fs", "-q", "-F", "-t", "ext4", "-O", FEATURES, "-L", LABEL),
            *("-U", str(UUID(hex=digest[:32], version=4)), "-b", str(BLOCK_BYTES), "-I", str(INODE_BYTES)),
            *("-i", str(BYTES_PER_INODE), "-J", f"size={JOURNAL_BYTES // MIB}", "-m", "0", "-E", options),
            *(image, str(layout.data_bytes // BLOCK_BYTES)),
        ],
        timeout=600,
        env=environment,
    )


def fill(image: Path, offset: int, tree: Tree, now: int, observe: Callable[[int], None]) -> None:
    """Puts ``tree`` into the file system at ``offset``.

    Args:
        image: the image file.
        offset: where the data partition starts, bytes.
        tree: what goes there; whether the files' bytes are right, the proof finds.
        now: date of all of it, seconds since 1970.
        observe: called with the bytes of each piece written.

    Raises:
        ContentDamaged: a file became shorter; ``field`` is its content's.
        DoesNotFit: the partition is full.
        OSError: the disk is (ENOSPC); the room for all files is taken before the first is written.
    """
    target = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        with Ext4(image, offset, now=now) as system:
            folders = {"/": ROOT_INODE}

            def place(path: str) -> tuple[int, str]:
                parent, name = posixpath.split(path)
                return folders[parent], name

            for folder in tree.folders:
                folders[folder.path] = system.make_folder(*place(folder.path), folder.mode, folder.owner)
            placed = [
                (file, system.allocate(*place(file.path), file.size_bytes, file.mode, file.owner))
                for file in tree.files
            ]
            for link in tree.links:
                system.make_link(*place(link.path), link.target)
            for piece in (piece for _, ranges in placed for piece in ranges):
                os.posix_fallocate(target, piece.offset, piece.length)
            for file, ranges in placed:
                if isinstance(file.source, bytes):
                    _write_bytes(target, file.source, ranges)
                elif not _copy_file(target, file.source, ranges, observe):
                    raise ContentDamaged(f"The file of {file.path} became shorter.", field=file.ident)
    finally:
        os.close(target)


def _write_bytes(target: int, content: bytes, ranges: tuple[Range, ...]) -> None:
    start = 0
    for piece in ranges:
        _write_at(target, memoryview(content)[start : start + piece.length], piece.offset)
        start += piece.length


def _copy_file(target: int, path: Path, ranges: tuple[Range, ...], observe: Callable[[int], None]) -> bool:
    """Copies a file's bytes to ``ranges``, inside the kernel: where the file system can, no byte is moved.

    Returns:
        Whether the file had so many.
    """
    with path.open("rb", buffering=0) as source:
        start = 0
        for piece in ranges:
            done = 0
            while done < piece.length:
                wanted = min(_PIECE_BYTES, piece.length - done)
                copied = _copy(source.fileno(), target, wanted, start + done, piece.offset + done)
                if not copied:
                    return False
                _begin_writing(target, piece.offset + done, copied)
                done += copied
                observe(copied)
            start += piece.length
    return True


def _copy(source: int, target: int, count: int, source_offset: int, target_offset: int) -> int:
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


def _write_at(target: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(target, data, offset)
        data, offset = data[written:], offset + written
