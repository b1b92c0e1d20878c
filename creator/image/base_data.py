"""The data partition that an Offspot base brings, and the disk's identity that its fstab names.

Cardshop's own bases have none. It is made anew at the card's size, and what lies in it is put there again.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.programs import run
from creator.image.ext4 import ROOT_INODE
from creator.image.partition_table import SECTOR_BYTES
from creator.image.tree import File, Folder, Link, Owner

_DISK_ID = struct.Struct("<440x I")
_ENTRY = struct.Struct("<4x B 3x I I")  # kind, first sector, how many
_FIRST_ENTRY, _ENTRY_BYTES, _THIRD = 446, 16, 2
_LISTED = re.compile(r"^/(\d+)/([0-7]+)/(\d+)/(\d+)/(.+)/(\d*)/$", re.MULTILINE)
"""What debugfs lists of a folder: inode, mode, owner, group, name, bytes."""

_LINK_TARGET = re.compile(r'^Fast link dest: "(.*)"$', re.MULTILINE)
_LOST_AND_FOUND = "/lost+found"
_SECONDS = 600.0


def disk_id(base: Path) -> int:
    """The identity of the base's partition table, 32 bits: PARTUUIDs are made of it."""
    number: int = _DISK_ID.unpack_from(_first_sector(base))[0]
    return number


def data_offset(base: Path) -> int | None:
    """Where the base's data partition begins, bytes; None: it has none."""
    kind, first, count = _ENTRY.unpack_from(_first_sector(base), _FIRST_ENTRY + _THIRD * _ENTRY_BYTES)
    return int(first) * SECTOR_BYTES if kind and count else None


def read_tree(image: Path, offset: int, into: Path) -> list[File | Link | Folder]:
    """What lies in the ext4 file system at ``offset``; its files are copied to ``into``.

    Raises:
        ImageDamaged: it can't be read.
    """
    into.mkdir(parents=True)
    return list(_below("", ROOT_INODE, f"{image}?offset={offset}", into))


def _below(folder: str, inode: int, system: str, into: Path) -> Iterator[File | Link | Folder]:
    for number, mode_digits, user, group, name, _size in _LISTED.findall(_ask(system, f"ls -p <{inode}>")):
        path, mode = f"{folder}/{name}", int(mode_digits, 8)
        if name in (".", "..") or path == _LOST_AND_FOUND:
            continue
        owner = Owner(int(user), int(group))
        if stat.S_ISDIR(mode):
            yield Folder(path, stat.S_IMODE(mode), owner)
            yield from _below(path, int(number), system, into)
        elif stat.S_ISREG(mode):
            copy = into / number
            _ask(system, f'dump <{number}> "{copy}"')
            with copy.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            yield File(path, copy, sha256, "base", stat.S_IMODE(mode), owner)
        elif stat.S_ISLNK(mode) and (target := _LINK_TARGET.search(_ask(system, f"stat <{number}>"))):
            yield Link(path, target[1])
        else:
            raise ImageDamaged(f"The base image's data partition has {path}: no file, folder or short link.")


def _ask(system: str, command: str) -> str:
    done = run(["debugfs", "-R", command, system], timeout=_SECONDS)
    problems = done.error_text.splitlines()[1:]  # the first line is its version
    if problems:
        raise ImageDamaged("The base image's data partition can't be read.", hint=problems[0])
    return done.text


def _first_sector(base: Path) -> bytes:
    with base.open("rb") as stream:
        return stream.read(SECTOR_BYTES)
