"""What was found of a base image that was read whole: the pieces of it that a card gets.

The SHA-256 that names a base is of the whole file, its empty half included. A creator that has read all of it
keeps the checksums of the pieces, and compares them where they lie in each image: damage of the base since
then is found as far as a card would have it, and so is a byte that went wrong on the way.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import structlog

from cardshop.contract import wire
from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.fat32 import FatFile
from cardshop.file_map import Part
from cardshop.fit import BOOT_OFFSET, Layout
from cardshop.image_format import CHUNK_BYTES, Chunk, Range, merge, pieces
from cardshop.private_files import write_private
from creator.cache import exclusively
from creator.image.base_data import data_offset
from creator.image.base_image import BaseImage, check_base, was_changed
from creator.image.block_map import boot_ranges, checksum, ext4_ranges
from creator.image.boot_partition import opened
from creator.image.file_map import system_parts
from creator.image.partition_table import TABLE_BYTES

_FORMAT = "cardshop base proof 1"
"""First word of what is kept; another one when anything else is listed, or listed in another way."""

_BEFORE_BOOT = Range(0, BOOT_OFFSET)

Placed = TypeVar("Placed")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BaseRanges:
    """What a card needs of a base, in whole blocks, as the base's file systems tell."""

    boot: tuple[Range, ...]
    root: tuple[Range, ...]
    data: tuple[Range, ...]  # all of its data partition, if it has one
    structure: tuple[Range, ...]  # of the boot partition: all that is no file's
    files: tuple[FatFile, ...]  # on the boot partition

    @property
    def copied(self) -> tuple[Range, ...]:
        """What lies at the same place of every image."""
        return merge((*self.boot, *self.root))


@dataclass(frozen=True)
class BootFile:
    """A file of the boot partition: where its clusters are, and what is in them."""

    path: str
    bytes: int
    chunks: tuple[Chunk, ...]  # in the file's order


@dataclass(frozen=True)
class BaseProof:
    """The pieces of a base image that were right when the whole of it was."""

    sha256: str  # of the whole
    before_boot: tuple[Chunk, ...]  # of all that lies before the boot partition
    structure: tuple[Chunk, ...]  # of the boot partition: all that is no file's
    boot: tuple[BootFile, ...]
    root: tuple[Chunk, ...]
    data: tuple[Chunk, ...]
    system: tuple[Part, ...]  # parts of the system partition's files

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All of them."""
        of_files = (chunk for file in self.boot for chunk in file.chunks)
        return (*self.before_boot, *self.structure, *self.root, *self.data, *of_files)


def base_ranges(base: BaseImage, parts: Layout) -> BaseRanges:
    """What a card needs of a base.

    Raises:
        ImageDamaged: its file systems can't be read, or it was changed.
    """
    data = data_offset(base.image)
    try:
        with opened(base.image) as system:
            files, head = tuple(system.files()), next(system.used_ranges())
        return BaseRanges(
            boot=merge(boot_ranges(base.image)),
            root=merge(ext4_ranges(base.image, parts.root_offset)),
            data=() if data is None else (Range(data, base.manifest.bytes - data),),
            structure=merge((head, *(item for file in files if file.is_folder for item in file.ranges))),
            files=tuple(file for file in files if not file.is_folder),
        )
    except ImageDamaged:
        check_base(base)
        raise


def proof_of(base: BaseImage, parts: Layout, ranges: BaseRanges, folder: Path) -> BaseProof:
    """What an earlier image's build kept in ``folder``, as far as it can be held against the base now.

    Without it the base is read whole, and what was found is kept.

    Raises:
        ImageDamaged: the base was changed.
    """
    proof = _kept(folder, base, ranges)
    if proof is not None and _has(base.image, proof.data):  # of that no image has the pieces
        return proof
    return prove_base(base, parts, ranges, folder)


def prove_base(base: BaseImage, parts: Layout, ranges: BaseRanges, folder: Path) -> BaseProof:
    """Reads every byte of the base image once, and keeps what was found in ``folder``.

    Args:
        base: the base image.
        parts: of an image with it; its system partition lies where the base's does.
        ranges: what :func:`base_ranges` gave.
        folder: made if it isn't there.

    Raises:
        ImageDamaged: it was changed.
    """
    wanted = _by_window(_all_pieces(ranges), lambda piece: piece.offset)
    unsummed = _by_window(system_parts(base.image, parts), lambda part: part.offset)
    whole, found, system = hashlib.sha256(), {}, []
    memory = memoryview(bytearray(CHUNK_BYTES))
    with base.image.open("rb") as stream:
        for window in itertools.count():
            start = window * CHUNK_BYTES
            data = memory[: stream.readinto(memory)]
            if not data:
                break
            whole.update(data)
            for piece in wanted.get(window, ()):
                found[piece] = hashlib.sha256(data[piece.offset - start : piece.end - start]).hexdigest()
            for part in unsummed.get(window, ()):
                crc = None if part.crc is None else zlib.crc32(data[part.offset - start : part.end - start])
                system.append(replace(part, crc=crc))
    if whole.hexdigest() != base.manifest.sha256:
        raise was_changed(base.manifest)

    def chunks(of: Iterable[Range]) -> tuple[Chunk, ...]:
        return tuple(Chunk(piece.offset, piece.length, found[piece]) for piece in pieces(of))

    proof = BaseProof(
        sha256=base.manifest.sha256,
        before_boot=chunks([_BEFORE_BOOT]),
        structure=chunks(ranges.structure),
        boot=tuple(BootFile(file.path, file.bytes, chunks(file.ranges)) for file in ranges.files),
        root=chunks(ranges.root),
        data=chunks(ranges.data),
        system=tuple(system),
    )
    _keep(folder, base, proof)
    return proof


def check_copied(
    image: Path, parts: Layout, base: BaseImage, proof: BaseProof, chunks: Sequence[Chunk]
) -> None:
    """Compares what came of the base into an image with what was right, before the boot partition is changed.

    Args:
        image: the image file.
        parts: where its partitions are.
        base: the base image.
        proof: of the base.
        chunks: read out of the image, those of the system partition among them.

    Raises:
        ImageDamaged: the base was changed, or what came of it into the image was.
    """
    root = tuple(chunk for chunk in chunks if parts.root_offset <= chunk.offset < parts.data_offset)
    if root == proof.root and _has(image, proof.structure) and _has_boot_code(image, base, proof):
        return
    raise _wrong(base)


def check_boot_files(image: Path, base: BaseImage, proof: BaseProof, replaced: Collection[str]) -> None:
    """Compares the base's files on the boot partition, after others were put beside them.

    Args:
        image: the image file.
        base: the base image.
        proof: of the base.
        replaced: paths of those that the image has others in place of.

    Raises:
        ImageDamaged: the base was changed, or what came of it into the image was.
    """
    with opened(image) as system:
        found = {(file.path, file.bytes, tuple(pieces(file.ranges))) for file in system.files()}
    names = {path.lower() for path in replaced}
    kept = [file for file in proof.boot if file.path.lower() not in names]
    is_there = all((file.path, file.bytes, _places(file.chunks)) in found for file in kept)
    if not (is_there and _has(image, tuple(chunk for file in kept for chunk in file.chunks))):
        raise _wrong(base)


def _wrong(base: BaseImage) -> ImageDamaged:
    """The error for an image that has other bytes than its base had; raises the one for a changed base."""
    check_base(base)
    return ImageDamaged("The system read out of the image is not that of its base.")


def _has(image: Path, chunks: tuple[Chunk, ...]) -> bool:
    return checksum(image, _places(chunks), lambda _count: None) == chunks


def _places(chunks: Iterable[Chunk]) -> tuple[Range, ...]:
    return tuple(Range(chunk.offset, chunk.length) for chunk in chunks)


def _has_boot_code(image: Path, base: BaseImage, proof: BaseProof) -> bool:
    """All before the boot partition is the base's, but for the partition table."""
    with image.open("rb") as stream, base.image.open("rb") as original:
        start = bytearray(stream.read(_BEFORE_BOOT.length))
        start[TABLE_BYTES] = original.read(_BEFORE_BOOT.length)[TABLE_BYTES]
    return proof.before_boot == tuple(
        Chunk(piece.offset, piece.length, hashlib.sha256(start[piece.offset : piece.end]).hexdigest())
        for piece in pieces([_BEFORE_BOOT])
    )


def _all_pieces(ranges: BaseRanges) -> Iterator[Range]:
    yield from pieces([_BEFORE_BOOT])
    yield from pieces(ranges.structure)
    yield from pieces(ranges.root)
    yield from pieces(ranges.data)
    for file in ranges.files:
        yield from pieces(file.ranges)


def _by_window(items: Iterable[Placed], offset: Callable[[Placed], int]) -> dict[int, list[Placed]]:
    windows: dict[int, list[Placed]] = {}
    for item in items:
        windows.setdefault(offset(item) // CHUNK_BYTES, []).append(item)
    return windows


def _keep(folder: Path, base: BaseImage, proof: BaseProof) -> None:
    """Keeps the proof for the next image, in place of that of an earlier base of this name."""
    try:
        document = json.dumps(wire.to_wire(proof))
        folder.mkdir(parents=True, exist_ok=True)
        with exclusively(folder / "proofs.lock"):
            write_private(_file(folder, base), f"{_head(document)}\n{document}")
    except (OSError, MemoryError) as error:
        log.warning("what was found of a base image could not be kept", base=base.image.stem, why=str(error))


def _kept(folder: Path, base: BaseImage, ranges: BaseRanges) -> BaseProof | None:
    """The proof that was kept of these ranges of the base; None: none was that is whole."""
    try:
        head, _, document = _file(folder, base).read_text().partition("\n")
        if head != _head(document):
            return None
        proof = wire.from_wire(BaseProof, wire.parse(document))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, MessageRejected) as error:
        log.warning("what was kept of a base image can't be read", base=base.image.stem, why=str(error))
        return None
    files = [(file.path, file.bytes) for file in ranges.files]
    is_of_it = (
        proof.sha256 == base.manifest.sha256
        and [(file.path, file.bytes) for file in proof.boot] == files
        and _places(proof.chunks) == tuple(_all_pieces(ranges))
    )
    return proof if is_of_it else None


def _head(document: str) -> str:
    return f"{_FORMAT} {hashlib.sha256(document.encode()).hexdigest()}"


def _file(folder: Path, base: BaseImage) -> Path:
    return folder / f"{base.image.stem}.json"
