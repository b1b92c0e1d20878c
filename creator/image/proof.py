"""Proof of a built image by another reader: e2fsprogs' own programs look at what libext2fs made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, ProgramFailed
from cardshop.fit import BLOCK_BYTES, BOOT_OFFSET, Layout
from cardshop.image_format import Range
from cardshop.programs import run
from creator.image.boot_partition import CONFIGURATION
from creator.image.data_partition import FOLDER

_PIECE_BYTES = 1024 * 1024
_SECONDS = 24 * 3600.0
_SIZE = re.compile(r"^User:.* Size: (\d+)$", re.MULTILINE)
_EXTENT = re.compile(
    r"^ *(\d+)/ *(\d+) +\d+/ *\d+ +(\d+) - +\d+ +(\d+) - +\d+ +(\d+) *(\w*) *$", re.MULTILINE
)
"""A row of debugfs's table: level and depth, first logical block, first physical, how many, flags."""


def check_file_systems(image: Path, layout: Layout) -> None:
    """Runs e2fsck on root and data and finds the card configuration on the boot partition.

    Raises:
        ImageDamaged: one of them is not clean.
    """
    for name, offset in (("root", layout.root_offset), ("data", layout.data_offset)):
        try:
            run(["e2fsck", "-f", "-n", f"{image}?offset={offset}"], timeout=_SECONDS)
        except ProgramFailed as error:
            raise ImageDamaged(f"The {name} partition is not clean.", hint=error.hint) from error
    run(["mdir", "-b", "-i", f"{image}@@{BOOT_OFFSET}", f"::/{CONFIGURATION}"], timeout=60)


def read_content(image: Path, data_offset: int, name: str, observe: Callable[[int], None]) -> str:
    """SHA-256 of the content ``name``, its bytes read from where debugfs finds them in the image.

    Raises:
        ImageDamaged: it isn't there or can't be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE_BYTES))
    with image.open("rb", buffering=0) as stream:
        for piece in _found_by_debugfs(image, data_offset, name):
            stream.seek(piece.offset)
            left = piece.length
            while left:
                count = stream.readinto(buffer[: min(left, _PIECE_BYTES)])
                if not count:
                    raise ImageDamaged(f"{name} can't be read out of the image: it ends too early.")
                digest.update(buffer[:count])
                observe(count)
                left -= count
    return digest.hexdigest()


def _found_by_debugfs(image: Path, data_offset: int, name: str) -> Iterator[Range]:
    """Where a content's bytes are in the image, in the content's order."""
    quoted = _quoted(f"/{FOLDER}/{name}")
    system = f"{image}?offset={data_offset}"
    commands = f"stat {quoted}\nextents {quoted}\n".encode()
    done = run(["debugfs", "-f", "-", system], stdin=commands, timeout=_SECONDS)
    problems = done.error_text.splitlines()[1:]  # the first line is its version
    size = _SIZE.search(done.text)
    if problems or size is None:
        raise ImageDamaged(f"{name} can't be read out of the image.", hint=" / ".join(problems))
    left, at = int(size[1]), 0
    for level, depth, logical, physical, blocks, flags in _EXTENT.findall(done.text):
        if level != depth:
            continue  # a block of the tree itself
        if int(logical) != at or flags:
            raise ImageDamaged(f"{name} has a hole in the image.")
        at += int(blocks)
        length = min(int(blocks) * BLOCK_BYTES, left)
        left -= length
        yield Range(data_offset + int(physical) * BLOCK_BYTES, length)
    if left:
        raise ImageDamaged(f"{name} is {left} bytes too short in the image.")


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
