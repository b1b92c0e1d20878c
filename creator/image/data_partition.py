"""The data partition: an ext4 file system made anew, each ZIM written straight to where its blocks are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from cardshop.contract.errors import ContentDamaged
from cardshop.fit import BLOCK_BYTES, BYTES_PER_INODE, INODE_BYTES, JOURNAL_BYTES, MIB, Layout
from cardshop.image_format import Range
from cardshop.programs import run
from creator.image.ext4 import ROOT_INODE, Ext4

LABEL = "data"
FOLDER = "contents"
LIBRARY = "library.xml"

FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
"""Named one by one: a host's own mke2fs.conf must not change an image."""

_PIECE_BYTES = 4 * 1024 * 1024


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


def add_contents(
    image: Path,
    offset: int,
    library: bytes,
    files: Iterable[tuple[str, Path, str]],
    now: int,
    observe: Callable[[int], None],
) -> None:
    """Fills ``/contents`` of the file system at ``offset``.

    Args:
        image: the image file.
        offset: where the data partition starts, bytes.
        library: the bytes of ``library.xml``.
        files: name on the card, the file, and the SHA-256 that it must have.
        now: date of the files, seconds since 1970.
        observe: called with the bytes of each piece written.

    Raises:
        ContentDamaged: a file hasn't the checksum that it must have.
        DoesNotFit: the partition is full.
        OSError: the disk is (ENOSPC); the room for all files is taken before the first is written.
    """
    target = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        with Ext4(image, offset, now=now) as system:
            folder = system.make_folder(ROOT_INODE, FOLDER)
            _write_bytes(target, library, system.allocate(folder, LIBRARY, len(library)))
            placed = [(file, system.allocate(folder, file[0], file[1].stat().st_size)) for file in files]
            for piece in (piece for _, ranges in placed for piece in ranges):
                os.posix_fallocate(target, piece.offset, piece.length)
            for (name, path, sha256), ranges in placed:
                if _write_file(target, path, ranges, observe) != sha256:
                    raise ContentDamaged(f"The bytes of {name} are not those that were ordered.", field=name)
    finally:
        os.close(target)


def _write_bytes(target: int, content: bytes, ranges: tuple[Range, ...]) -> None:
    start = 0
    for piece in ranges:
        _write_at(target, memoryview(content)[start : start + piece.length], piece.offset)
        start += piece.length


def _write_file(target: int, path: Path, ranges: tuple[Range, ...], observe: Callable[[int], None]) -> str:
    """Writes a file's bytes to ``ranges`` and returns their SHA-256; a second thread does the hashing."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as source, ThreadPoolExecutor(1) as hasher:
        hashed = hasher.submit(digest.update, b"")
        for piece in ranges:
            offset = piece.offset
            while offset < piece.end:
                data = source.read(min(_PIECE_BYTES, piece.end - offset))
                if not data:
                    return ""  # it became shorter: no checksum is its own
                hashed.result()
                hashed = hasher.submit(digest.update, data)
                _write_at(target, memoryview(data), offset)
                offset += len(data)
                observe(len(data))
        hashed.result()
    return digest.hexdigest()


def _write_at(target: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(target, data, offset)
        data, offset = data[written:], offset + written
