"""Proof of a built image by another reader: e2fsprogs' own programs look at what libext2fs made."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from cardshop.contract.errors import CardshopError, ImageDamaged, ProgramFailed
from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.programs import run
from creator.image.boot_partition import CONFIGURATION
from creator.image.data_partition import FOLDER

_PIECE_BYTES = 1024 * 1024
_SECONDS = 24 * 3600.0


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
    run(["mdir", "-b", "-i", f"{image}@@{BOOT_OFFSET}", f"::{CONFIGURATION}"], timeout=60)


def read_content(image: Path, data_offset: int, name: str, observe: Callable[[int], None]) -> str:
    """SHA-256 of the content ``name``, read out of the image by debugfs.

    Raises:
        ImageDamaged: it isn't there or can't be read.
    """
    pipe = image.with_name(image.name + ".pipe")
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe, 0o600)
    try:
        return _read_through(pipe, image, data_offset, name, observe)
    finally:
        pipe.unlink()


def _read_through(
    pipe: Path, image: Path, data_offset: int, name: str, observe: Callable[[int], None]
) -> str:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    # Held until debugfs is done: the reader sees the end then, whether debugfs opened the pipe or not.
    writer = os.open(pipe, os.O_WRONLY | os.O_CLOEXEC)
    os.set_blocking(reader, True)
    problems: list[CardshopError | str] = []
    request = f"dump {_quoted(f'/{FOLDER}/{name}')} {_quoted(str(pipe))}"

    def dump() -> None:
        try:
            done = run(["debugfs", "-R", request, f"{image}?offset={data_offset}"], timeout=_SECONDS)
            problems.extend(done.error_text.splitlines()[1:])  # the first line is its version
        except CardshopError as error:
            problems.append(error)
        finally:
            os.close(writer)

    digest = hashlib.sha256()
    program = threading.Thread(target=dump, name="debugfs")
    program.start()
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            observe(len(piece))
    program.join()
    if problems:
        raise ImageDamaged(f"{name} can't be read out of the image.", hint=str(problems[0]))
    return digest.hexdigest()


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
