"""What was found of a base image that was read whole: the pieces of it that a card gets.

The SHA-256 that names a base is of the whole file, its empty half included. A creator reads all of that once,
and keeps the checksums of the pieces. From then on the pieces are compared with those in each image: a base
that was damaged meanwhile is found as surely, and what is proven is what was copied.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from cardshop.contract import wire
from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.file_map import Part
from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.image_format import CHUNK_BYTES, Chunk, Range, merge, pieces
from cardshop.private_files import write_private
from creator.cache import exclusively
from creator.image.base_data import data_offset
from creator.image.base_image import BaseImage, check_base, was_changed
from creator.image.block_map import boot_ranges, checksum, ext4_ranges
from creator.image.file_map import system_parts

_VERSION = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BaseProof:
    """The pieces of a base image that were right when the whole of it was."""

    sha256: str  # of the whole
    chunks: tuple[Chunk, ...]  # of what :func:`base_ranges` gives
    system: tuple[Part, ...]  # parts of the system partition's files
    version: int = _VERSION


def base_ranges(base: BaseImage, parts: Layout) -> tuple[Range, ...]:
    """What a card needs of a base: partition table, boot and system, and the data partition if it has one.

    Raises:
        ImageDamaged: its file systems can't be read, or it was changed.
    """
    data = data_offset(base.image)
    try:
        found = [
            *boot_ranges(base.image),
            *ext4_ranges(base.image, parts.root_offset),
            *([] if data is None else ext4_ranges(base.image, data)),
        ]
    except ImageDamaged:
        check_base(base)
        raise
    return merge(found)


def prove_base(base: BaseImage, parts: Layout, ranges: Iterable[Range]) -> BaseProof:
    """Reads every byte of the base image once.

    Args:
        base: the base image.
        parts: of an image with it; its system partition lies where the base's does.
        ranges: what :func:`base_ranges` gave.

    Raises:
        ImageDamaged: it was changed.
    """
    by_window = itertools.groupby(pieces(ranges), lambda piece: piece.offset // CHUNK_BYTES)
    wanted = {window: tuple(found) for window, found in by_window}
    whole, chunks = hashlib.sha256(), []
    memory = memoryview(bytearray(CHUNK_BYTES))
    with base.image.open("rb", buffering=0) as stream:
        for window in itertools.count():
            start = window * CHUNK_BYTES
            data = memory[: os.preadv(stream.fileno(), [memory], start)]
            if not data:
                break
            whole.update(data)
            for piece in wanted.get(window, ()):
                found = data[piece.offset - start : piece.end - start]
                chunks.append(Chunk(piece.offset, piece.length, hashlib.sha256(found).hexdigest()))
    if whole.hexdigest() != base.manifest.sha256:
        raise was_changed(base.manifest)
    return BaseProof(base.manifest.sha256, tuple(chunks), system_parts(base.image, parts))


def keep_proof(folder: Path, base: BaseImage, proof: BaseProof) -> None:
    """Keeps the proof for the next image, in place of that of an earlier base of this name."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusively(folder / "proofs.lock"):
        write_private(_file(folder, base), json.dumps(wire.to_wire(proof)))


def kept_proof(folder: Path, base: BaseImage, ranges: Iterable[Range]) -> BaseProof | None:
    """The proof that was kept of these ranges of the base; None: none was."""
    try:
        proof = wire.from_wire(BaseProof, wire.parse(_file(folder, base).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, MessageRejected):
        log.warning("what was kept of a base image can't be read: it is read whole again")
        return None
    if (proof.version, proof.sha256) != (_VERSION, base.manifest.sha256):
        return None
    places = (Range(chunk.offset, chunk.length) for chunk in proof.chunks)
    return proof if tuple(places) == tuple(pieces(ranges)) else None


def forget_proof(folder: Path, base: BaseImage) -> None:
    """The next image has the base read whole again."""
    _file(folder, base).unlink(missing_ok=True)


def check_pieces(base: BaseImage, parts: Layout, proof: BaseProof, in_image: Iterable[Chunk]) -> None:
    """Compares the base, as far as a card gets it, with what was right.

    Args:
        base: the base image.
        parts: of the image.
        proof: of the base.
        in_image: chunks read out of the image, those of boot and system partition among them.

    Raises:
        ImageDamaged: the base was changed, or what came of it into the image was.
    """
    is_copied = _within(BOOT_OFFSET, parts.data_offset)
    others = [chunk for chunk in proof.chunks if not is_copied(chunk)]
    read = checksum(base.image, [Range(chunk.offset, chunk.length) for chunk in others], lambda _count: None)
    copied = tuple(filter(is_copied, in_image))
    if read == tuple(others) and copied == tuple(filter(is_copied, proof.chunks)):
        return
    check_base(base)
    raise ImageDamaged("The system read out of the image is not that of its base.")


def _within(start: int, end: int) -> Callable[[Chunk], bool]:
    return lambda chunk: start <= chunk.offset < end


def _file(folder: Path, base: BaseImage) -> Path:
    return folder / f"{base.image.stem}.json"
