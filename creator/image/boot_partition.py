"""The boot partition: the base's FAT32 file system with the card configuration added."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.fat32 import Fat32
from cardshop.fit import BOOT_OFFSET
from cardshop.programs import run

FOLDER = "cardshop"
"""What is ours lies there."""

_SECONDS = 60.0


def write_configuration(image: Path, path: str, content: bytes, now: int) -> None:
    """Puts what the first boot reads on the boot partition; ``now`` (seconds since 1970) is its date.

    It may hold secrets: it reaches mtools by a pipe, never as an argument or in a file of its own.

    Raises:
        ImageDamaged: it can't be read back as it was written.
        ProgramFailed: the partition is full or no FAT file system.
    """
    write_file(image, path, content, now)
    if read_file(image, path) != content:
        raise ImageDamaged("The boot partition doesn't give back the card configuration.")


def write_file(image: Path, path: str, content: bytes, now: int) -> None:
    """Puts a file on the boot partition, at its root or in :data:`FOLDER`.

    Raises:
        ProgramFailed: the partition is full.
    """
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(now), "TZ": "UTC", "MTOOLSRC": os.devnull}
    is_there = 1
    run(
        ["mmd", "-D", "s", "-i", _drive(image), f"::/{FOLDER}"],
        timeout=_SECONDS,
        env=environment,
        allowed=(0, is_there),
    )
    run(
        ["mcopy", "-D", "o", "-i", _drive(image), "-", f"::/{path}"],
        timeout=_SECONDS,
        env=environment,
        stdin=content,
    )


@contextmanager
def opened(image: Path) -> Iterator[Fat32]:
    """The file system, for reading. Raises ImageDamaged."""
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Fat32(lambda offset, length: os.pread(descriptor, length, offset), BOOT_OFFSET)
    finally:
        os.close(descriptor)


def read_file(image: Path, path: str) -> bytes:
    """A file of the boot partition. Raises ProgramFailed when it isn't there."""
    environment = {**os.environ, "MTOOLSRC": os.devnull}
    return run(["mtype", "-i", _drive(image), f"::/{path}"], timeout=_SECONDS, env=environment).stdout


def _drive(image: Path) -> str:
    return f"{image}@@{BOOT_OFFSET}"
