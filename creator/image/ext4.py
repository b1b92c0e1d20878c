"""An ext4 file system inside an image file, opened with libext2fs (the library of e2fsprogs).

A large file gets its blocks here and its bytes elsewhere: :meth:`Ext4.allocate` says where in the image the
bytes belong, whoever has them writes them there, and no second copy is made on the way. The C declarations
are those of ``ext2fs/ext2fs.h``.
"""

from __future__ import annotations

import ctypes
import errno
import functools
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cardshop.contract.errors import DoesNotFit, ImageDamaged, ProgramFailed
from cardshop.image_format import Range
from creator.image.tree import FILE_MODE, FOLDER_MODE, ROOT, Owner

ROOT_INODE = 2

_FLAG_READ_WRITE = 0x01
_FLAG_64_BITS = 0x20000
_REGULAR = 0o100000
_PERMISSIONS = 0o7777
_USER_HIGH, _GROUP_HIGH = 2, 3  # places of the upper halves in osd2
_EXTENTS = 0x80000  # inode flag: its blocks are an extent tree
_EMPTY_TREE = (0xF30A, 4)  # a tree's head: magic number and no entries; room for four, depth 0
_REGULAR_FILE = 1  # type in a folder's entry
_FORCE_INITIALIZED = 0x2  # of ext2fs_fallocate; unwritten extents would read back as zeroes
_NO_GOAL = 2**64 - 1
_EXTENT_ROOT, _EXTENT_NEXT = 0x1, 0x9
_EXTENT_LEAF, _EXTENT_SECOND_VISIT = 0x1, 0x4

_DIR_NO_SPACE = 2133571366
_BLOCK_ALLOC_FAIL = 2133571400
_INODE_ALLOC_FAIL = 2133571401
_EXTENT_NO_NEXT = 2133571452

_LIBRARY_HINT = "Install the package e2fsprogs with its library libext2fs2."


class _FileSystem(ctypes.Structure):
    """The head of ``struct struct_ext2_filsys``; it only ever grows at its end."""

    _fields_ = (
        ("magic", ctypes.c_long),
        ("io", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("device_name", ctypes.c_char_p),
        ("super", ctypes.c_void_p),
        ("blocksize", ctypes.c_uint),
        ("fragsize", ctypes.c_int),
        ("group_desc_count", ctypes.c_uint32),
        ("desc_blocks", ctypes.c_ulong),
        ("group_desc", ctypes.c_void_p),
        ("inode_blocks_per_group", ctypes.c_uint),
        ("inode_map", ctypes.c_void_p),
        ("block_map", ctypes.c_void_p),
        ("callbacks", ctypes.c_void_p * 5),
        ("badblocks", ctypes.c_void_p),
        ("dblist", ctypes.c_void_p),
        ("stride", ctypes.c_uint32),
        ("orig_super", ctypes.c_void_p),
        ("image_header", ctypes.c_void_p),
        ("umask", ctypes.c_uint32),
        ("now", ctypes.c_long),
    )


class _Inode(ctypes.Structure):
    """``struct ext2_inode``."""

    _fields_ = (
        ("mode", ctypes.c_uint16),
        ("uid", ctypes.c_uint16),
        ("size", ctypes.c_uint32),
        ("atime", ctypes.c_uint32),
        ("ctime", ctypes.c_uint32),
        ("mtime", ctypes.c_uint32),
        ("dtime", ctypes.c_uint32),
        ("gid", ctypes.c_uint16),
        ("links_count", ctypes.c_uint16),
        ("blocks", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("version", ctypes.c_uint32),
        ("block", ctypes.c_uint32 * 15),
        ("generation", ctypes.c_uint32),
        ("file_acl", ctypes.c_uint32),
        ("size_high", ctypes.c_uint32),
        ("faddr", ctypes.c_uint32),
        ("osd2", ctypes.c_uint16 * 6),
    )


class _Extent(ctypes.Structure):
    """``struct ext2fs_extent``."""

    _fields_ = (
        ("physical", ctypes.c_uint64),
        ("logical", ctypes.c_uint64),
        ("length", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


class Ext4:
    """A file system at ``offset`` in ``image``. Close it, or use it in a ``with``: it is written then.

    Args:
        image: the image file.
        offset: where the file system starts, bytes.
        now: seconds since 1970, the time of everything that is made here; None opens it for reading only.

    Raises:
        ImageDamaged: there is no sound ext4 file system.
        ProgramFailed: libext2fs is not installed.
    """

    def __init__(self, image: Path, offset: int, *, now: int | None = None) -> None:
        self._handle = ctypes.POINTER(_FileSystem)()
        flags = _FLAG_64_BITS | (0 if now is None else _FLAG_READ_WRITE)
        manager = ctypes.c_void_p.in_dll(_library(), "unix_io_manager")
        options = f"offset={offset}".encode()
        _call("ext2fs_open2", bytes(image), options, flags, 0, 0, manager, ctypes.byref(self._handle))
        self._offset = offset
        self._system = self._handle.contents
        self._now = now or 0
        self._system.now = self._now
        self._block_bytes = int(self._system.blocksize)
        try:
            _call("ext2fs_read_bitmaps", self._handle)
        except ImageDamaged:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Writes what was changed."""
        if self._handle:
            _call("ext2fs_close_free", ctypes.byref(self._handle))

    @property
    def free_bytes(self) -> int:
        """Room for more files, their own extent trees included."""
        return (
            int(_library().ext2fs_free_blocks_count(ctypes.c_void_p(self._system.super))) * self._block_bytes
        )

    def make_folder(self, parent: int, name: str, mode: int = FOLDER_MODE, owner: Owner = ROOT) -> int:
        """Makes a folder and returns its inode number."""
        self._add("ext2fs_mkdir", parent, 0, name.encode())
        number = ctypes.c_uint32()
        _call("ext2fs_namei", self._handle, ROOT_INODE, parent, name.encode(), ctypes.byref(number))
        if (mode, owner) != (FOLDER_MODE, ROOT):
            inode = _Inode()
            _call("ext2fs_read_inode", self._handle, number, ctypes.byref(inode))
            inode.mode = inode.mode & ~_PERMISSIONS | mode
            _give(inode, owner)
            _call("ext2fs_write_inode", self._handle, number, ctypes.byref(inode))
        return number.value

    def make_link(self, folder: int, name: str, target: str) -> None:
        """Makes a symbolic link, root's."""
        self._add("ext2fs_symlink", folder, 0, name.encode(), target.encode())

    def allocate(
        self, folder: int, name: str, size: int, mode: int = FILE_MODE, owner: Owner = ROOT
    ) -> tuple[Range, ...]:
        """Makes a file of ``size`` bytes and says where in the image its bytes belong.

        The ranges are in the file's order; the last ends where the file does, not where its block does.

        Raises:
            DoesNotFit: the file system has no room for it.
        """
        number = ctypes.c_uint32()
        _call("ext2fs_new_inode", self._handle, folder, _REGULAR | mode, None, ctypes.byref(number))
        inode = _Inode(
            mode=_REGULAR | mode,
            size=size & 0xFFFFFFFF,
            size_high=size >> 32,
            atime=self._now,
            ctime=self._now,
            mtime=self._now,
            links_count=1,
            flags=_EXTENTS,
            block=_EMPTY_TREE,
        )
        _give(inode, owner)
        _library().ext2fs_inode_alloc_stats2(self._handle, number, 1, 0)
        _call("ext2fs_write_new_inode", self._handle, number, ctypes.byref(inode))
        blocks = -(-size // self._block_bytes)
        if blocks:
            _call(
                "ext2fs_fallocate",
                self._handle,
                _FORCE_INITIALIZED,
                number,
                None,
                ctypes.c_uint64(_NO_GOAL),
                ctypes.c_uint64(0),
                ctypes.c_uint64(blocks),
            )
        self._link(folder, name, number.value)
        return tuple(self._trimmed(number.value, size))

    def used_ranges(self) -> Iterator[Range]:
        """Where in the image this file system keeps anything, its metadata included; ascending."""
        library = _library()
        blocks = int(library.ext2fs_blocks_count(ctypes.c_void_p(self._system.super)))
        start = 0
        while start < blocks:
            first = self._next_block("set", start, blocks)
            if first is None:
                return
            end = self._next_block("zero", first, blocks) or blocks
            yield Range(self._offset + first * self._block_bytes, (end - first) * self._block_bytes)
            start = end

    @property
    def block_bytes(self) -> int:
        """Size of a block."""
        return self._block_bytes

    def mode_of(self, number: int) -> int:
        """Kind and rights of the file with that inode number, as ``st_mode``."""
        return int(self._inode(number).mode)

    def blocks_of(self, number: int) -> tuple[Range, ...]:
        """Where in the image a file's blocks are, in its order; none if it is kept in its inode."""
        return tuple(self._extents(number)) if self._inode(number).flags & _EXTENTS else ()

    def _inode(self, number: int) -> _Inode:
        inode = _Inode()
        _call("ext2fs_read_inode", self._handle, number, ctypes.byref(inode))
        return inode

    def _next_block(self, kind: str, start: int, blocks: int) -> int | None:
        found = ctypes.c_uint64()
        find = getattr(_library(), f"ext2fs_find_first_{kind}_generic_bmap")
        bitmap = ctypes.c_void_p(self._system.block_map)
        code = find(bitmap, ctypes.c_uint64(start), ctypes.c_uint64(blocks - 1), ctypes.byref(found))
        if code == errno.ENOENT:
            return None
        _check(f"ext2fs_find_first_{kind}", code)
        return found.value

    def _link(self, folder: int, name: str, number: int) -> None:
        self._add("ext2fs_link", folder, name.encode(), number, _REGULAR_FILE)

    def _add(self, function: str, folder: int, *arguments: Any) -> None:
        """Adds an entry to a folder, which grows when it is full."""
        add = getattr(_library(), function)
        add.restype = ctypes.c_long
        code = add(self._handle, folder, *arguments)
        if code == _DIR_NO_SPACE:
            _call("ext2fs_expand_dir", self._handle, folder)
            code = add(self._handle, folder, *arguments)
        _check(function, code)

    def _trimmed(self, number: int, size: int) -> Iterator[Range]:
        left = size
        for extent in self._extents(number):
            length = min(extent.length, left)
            left -= length
            yield Range(extent.offset, length)
        if left:
            raise ImageDamaged(f"libext2fs gave {left} bytes too little room to a file.")

    def _extents(self, number: int) -> Iterator[Range]:
        library = _library()
        handle = ctypes.c_void_p()
        _call("ext2fs_extent_open2", self._handle, number, None, ctypes.byref(handle))
        try:
            extent = _Extent()
            step = _EXTENT_ROOT
            while True:
                code = library.ext2fs_extent_get(handle, step, ctypes.byref(extent))
                if code == _EXTENT_NO_NEXT:
                    return
                _check("ext2fs_extent_get", code)
                step = _EXTENT_NEXT
                if extent.flags & _EXTENT_LEAF and not extent.flags & _EXTENT_SECOND_VISIT:
                    offset = self._offset + extent.physical * self._block_bytes
                    yield Range(offset, extent.length * self._block_bytes)
        finally:
            library.ext2fs_extent_free(handle)


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libext2fs.so.2")
    except OSError as error:
        raise ProgramFailed("The library libext2fs is not installed.", hint=_LIBRARY_HINT) from error
    library.initialize_ext2_error_table()
    for name in ("ext2fs_blocks_count", "ext2fs_free_blocks_count"):
        getattr(library, name).restype = ctypes.c_uint64
    library.ext2fs_extent_get.restype = ctypes.c_long
    library.ext2fs_inode_alloc_stats2.restype = None
    library.ext2fs_extent_free.restype = None
    return library


def _give(inode: _Inode, owner: Owner) -> None:
    inode.uid, inode.osd2[_USER_HIGH] = owner.user & 0xFFFF, owner.user >> 16
    inode.gid, inode.osd2[_GROUP_HIGH] = owner.group & 0xFFFF, owner.group >> 16


def _call(function: str, *arguments: Any) -> None:
    pointer = getattr(_library(), function)
    pointer.restype = ctypes.c_long
    _check(function, pointer(*arguments))


def _check(function: str, code: int) -> None:
    if code == 0:
        return
    if code in (_BLOCK_ALLOC_FAIL, _INODE_ALLOC_FAIL):
        raise DoesNotFit("The data partition is full.", hint="Choose a larger medium or fewer contents.")
    message = ctypes.CDLL("libcom_err.so.2").error_message
    message.restype = ctypes.c_char_p
    told = message(ctypes.c_long(code)).decode(errors="replace")
    raise ImageDamaged(f"An ext4 file system could not be used: {function} says {told!r}.")
