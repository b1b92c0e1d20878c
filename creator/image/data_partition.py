"""The data partition: an ext4 file system made anew, which says where each file's bytes belong."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from cardshop.contract.errors import ContentDamaged
from cardshop.fit import BLOCK_BYTES, BYTES_PER_INODE, INODE_BYTES, JOURNAL_BYTES, MIB, Layout
from cardshop.image_format import Range
from cardshop.programs import run
from creator.image.copying import Piece
from creator.image.ext4 import ROOT_INODE, Ext4
from creator.image.tree import File, Tree

LABEL = "data"

FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
"""Named one by one: a host's own mke2fs.conf must not change an image."""


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


def lay_out(image: Path, offset: int, tree: Tree, now: int) -> tuple[Piece, ...]:
    """Gives all of ``tree`` its place in the file system at ``offset``; short files get their bytes too.

    Args:
        image: the image file.
        offset: where the data partition starts, bytes.
        tree: what goes there.
        now: date of all of it, seconds since 1970.

    Returns:
        Where the bytes of the other files belong.

    Raises:
        DoesNotFit: the partition is full.
    """
    pieces: list[Piece] = []
    target = os.open(image, os.O_WRONLY | os.O_CLOEXEC)
    try:
        with Ext4(image, offset, now=now) as system:
            folders = {"/": ROOT_INODE}

            def place(path: str) -> tuple[int, str]:
                parent, name = posixpath.split(path)
                return folders[parent], name

            for folder in tree.folders:
                folders[folder.path] = system.make_folder(*place(folder.path), folder.mode, folder.owner)
            for file in tree.files:
                ranges = system.allocate(*place(file.path), file.size_bytes, file.mode, file.owner)
                if isinstance(file.source, bytes):
                    _write_bytes(target, file.source, ranges)
                else:
                    pieces += _pieces(file.source, ranges, file)
            for link in tree.links:
                system.make_link(*place(link.path), link.target)
    finally:
        os.close(target)
    return tuple(pieces)


def _pieces(source: Path, ranges: tuple[Range, ...], file: File) -> Iterator[Piece]:
    start = 0
    shorter = ContentDamaged(f"The file of {file.path} became shorter.", field=file.ident)
    for item in ranges:
        yield Piece(source, start, item, shorter)
        start += item.length


def _write_bytes(target: int, content: bytes, ranges: tuple[Range, ...]) -> None:
    start = 0
    for piece in ranges:
        _write_at(target, memoryview(content)[start : start + piece.length], piece.offset)
        start += piece.length


def _write_at(target: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(target, data, offset)
        data, offset = data[written:], offset + written
