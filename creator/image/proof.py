"""Proof of a built image by another reader: e2fsprogs' own programs look at what libext2fs made."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, ProgramFailed
from cardshop.fit import BLOCK_BYTES, BOOT_OFFSET, Layout
from cardshop.image_format import Range, pieces
from cardshop.programs import run

_PIECE_BYTES = 1024 * 1024
_SECONDS = 24 * 3600.0
_STAT = re.compile(r"^debugfs: stat ", re.MULTILINE)
"""What debugfs repeats before each answer."""

_SIZE = re.compile(r"^User:.* Size: (\d+)$", re.MULTILINE)
_EXTENT = re.compile(
    r"^ *(\d+)/ *(\d+) +\d+/ *\d+ +(\d+) - +\d+ +(\d+) - +\d+ +(\d+) *(\w*) *$", re.MULTILINE
)
"""A row of debugfs's table: level and depth, first logical block, first physical, how many, flags."""


@dataclass(frozen=True)
class FoundFile:
    """A file in an image."""

    path: str  # on its partition
    ranges: tuple[Range, ...]  # where its bytes are in the image, in the file's order


def check_file_systems(image: Path, layout: Layout, configuration: str | None) -> None:
    """Runs e2fsck on root and data and finds the card's configuration on the boot partition, if it has one.

    Raises:
        ImageDamaged: one of them is not clean.
    """
    for name, offset in (("root", layout.root_offset), ("data", layout.data_offset)):
        try:
            run(["e2fsck", "-f", "-n", f"{image}?offset={offset}"], timeout=_SECONDS)
        except ProgramFailed as error:
            raise ImageDamaged(f"The {name} partition is not clean.", hint=error.hint) from error
    if configuration is not None:
        run(["mdir", "-b", "-i", f"{image}@@{BOOT_OFFSET}", f"::/{configuration}"], timeout=60)


def find_files(image: Path, data_offset: int, paths: Sequence[str]) -> tuple[FoundFile, ...]:
    """Where debugfs finds the files on the data partition; what is in them may be there or not.

    Args:
        image: the image file; what was written to it is on the disk afterwards: debugfs waits for it.
        data_offset: where the data partition starts, bytes.
        paths: of the files on it.

    Raises:
        ImageDamaged: one isn't there.
    """
    if not paths:
        return ()
    commands = "".join(f"stat {_quoted(path)}\nextents {_quoted(path)}\n" for path in paths)
    system = f"{image}?offset={data_offset}"
    done = run(["debugfs", "-f", "-", system], stdin=commands.encode(), timeout=_SECONDS)
    problems = done.error_text.splitlines()[1:]  # the first line is its version
    told = _STAT.split(done.text)[1:]
    if problems or len(told) != len(paths):
        raise ImageDamaged(f"{_first(paths)} can't be read out of the image.", hint=" / ".join(problems[:3]))
    return tuple(
        FoundFile(path, tuple(_ranges(path, text, data_offset)))
        for path, text in zip(paths, told, strict=True)
    )


def read_files(
    image: Path,
    files: Iterable[FoundFile],
    observe: Callable[[int], None],
    ready: Callable[[Range], None] = lambda _piece: None,
) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 of each file, its bytes read from where it was found in the image.

    Args:
        image: the image file.
        files: from :func:`find_files`.
        observe: called with the bytes of each step.
        ready: called before bytes are read: returns when they may be.

    Raises:
        ImageDamaged: one can't be read.
    """
    buffer = memoryview(bytearray(_PIECE_BYTES))
    with image.open("rb", buffering=0) as stream:
        for file in files:
            digest = hashlib.sha256()
            for piece in pieces(file.ranges, _PIECE_BYTES):
                ready(piece)
                data = buffer[: piece.length]
                if os.preadv(stream.fileno(), [data], piece.offset) != piece.length:
                    raise ImageDamaged(f"{file.path} can't be read out of the image: it ends too early.")
                digest.update(data)
                observe(piece.length)
            yield file.path, digest.hexdigest()


def _first(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"One of {paths[0]} and {len(paths) - 1} other files"


def _ranges(path: str, text: str, data_offset: int) -> Iterator[Range]:
    size = _SIZE.search(text)
    if size is None:
        raise ImageDamaged(f"{path} can't be read out of the image.")
    left, at = int(size[1]), 0
    for level, depth, logical, physical, blocks, flags in _EXTENT.findall(text):
        if level != depth:
            continue  # a block of the tree itself
        if int(logical) != at or flags:
            raise ImageDamaged(f"{path} has a hole in the image.")
        at += int(blocks)
        length = min(int(blocks) * BLOCK_BYTES, left)
        left -= length
        yield Range(data_offset + int(physical) * BLOCK_BYTES, length)
    if left:
        raise ImageDamaged(f"{path} is {left} bytes too short in the image.")


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
