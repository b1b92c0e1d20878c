"""Checks a card where no network is: whether this shop made it, and whether every byte of it is right.

What is believed, step by step: a signature of one of the known keys in the passport; the manifest whose
SHA-256 the passport states; each chunk's checksum in the manifest. Which file a wrong byte belongs to, the
list of files says, itself covered by chunks.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from cardshop.card_documents import FoundManifest, manifest_on, search_manifest
from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.contract.passports import CardStatement, Signed
from cardshop.fat32 import Fat32, Read
from cardshop.file_map import FileMap
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET
from cardshop.image_format import (
    CHUNK_BYTES,
    FILES_FILE,
    MANIFEST_FILE,
    PASSPORT_FILE,
    Chunk,
    Manifest,
    Range,
    filled_up,
)
from cardshop.signatures import NotGenuine, PublicKeys, UnknownKey

SYSTEM_OFFSET = BOOT_OFFSET + BOOT_BYTES
"""Where the system partition begins."""

_SUPERBLOCK_OFFSET = 1024
_MOUNTS = struct.Struct("<44x I 4x H")
"""In a superblock of ext4: when it was mounted last, and how often since its last check."""

_BOOT = "/boot/firmware"
COPIED = "The passport is that of another image: it was copied here from another card."
UNKNOWN = "(which file can't be told: the card's list of files is damaged)"

Observe = Callable[[int, int], None]
"""Called with (done, total) bytes as chunks are read."""


class Verdict(StrEnum):
    """What a card is."""

    GOOD = "good"  # this shop made it, every byte is right
    USED = "used"  # as good, but its system was started and has changed files of its own
    DAMAGED = "damaged"  # this shop made it, and something on it is wrong
    NOT_GENUINE = "not-genuine"  # nothing proves that this shop made it


@dataclass(frozen=True)
class Finding:
    """What the check of one card found."""

    verdict: Verdict
    why: str  # a sentence; empty when it is good
    card: CardStatement | None  # what the passport states; believed only when the card is genuine
    broken: tuple[str, ...]  # paths as the running card has them, or what else is wrong, in brackets
    checked_bytes: int
    wrong_bytes: int  # of the chunks that are wrong


def check_card(read: Read, keys: PublicKeys, observe: Observe) -> Finding:
    """Reads the whole card.

    Args:
        read: reads the card; an OSError counts as a wrong chunk.
        keys: those that are trusted.
        observe: told of the progress.

    Raises:
        ImageDamaged: it has neither a manifest nor a passport: it is no card of any shop.
        OSError: nothing can be read of it.
    """
    try:
        found = _manifest(read)
    except ImageDamaged as error:
        signed = _passport_by_name(read)
        if signed is None:
            raise
        return _without_manifest(signed, keys, error)
    manifest = found.manifest
    passport = _judged(_passport_in(read, manifest), keys)
    stated = passport.stated
    if stated is not None and not passport.doubt:
        if not _is_of(found, stated):
            passport = replace(passport, doubt=COPIED)
        elif stated.manifest != hashlib.sha256(found.document).hexdigest():
            return _with_wrong_manifest(stated)
    wrong = _wrong_chunks(read, manifest, observe)
    files = _file_map(read, manifest, wrong)
    names = [path for chunk in wrong for path in _names(chunk, manifest, files, read)]
    if passport.is_broken:
        names.insert(0, f"{_BOOT}/{PASSPORT_FILE}")
    return _finding(read, manifest, passport, tuple(dict.fromkeys(names)), wrong, files)


def _finding(
    read: Read,
    manifest: Manifest,
    passport: _Judged,
    broken: tuple[str, ...],
    wrong: Sequence[Chunk],
    files: FileMap | None,
) -> Finding:
    stated = passport.stated
    checked = manifest.mapped_bytes
    wrong_bytes = sum(chunk.length for chunk in wrong)
    if passport.doubt:
        return Finding(Verdict.NOT_GENUINE, passport.doubt, stated, broken, checked, wrong_bytes)
    if not wrong:
        return Finding(Verdict.GOOD, "", stated, broken, checked, 0)
    only_system = files is not None and all(_is_of_system(path, files) for path in broken)
    if only_system and was_started(read):
        why = "The card was started since it was written, and its system has changed files of its own."
        return Finding(Verdict.USED, why, stated, broken, checked, wrong_bytes)
    why = "Bytes on the card are not those that were written."
    return Finding(Verdict.DAMAGED, why, stated, broken, checked, wrong_bytes)


def was_started(read: Read) -> bool:
    """Whether the system partition was ever mounted to be written to."""
    superblock = read(SYSTEM_OFFSET + _SUPERBLOCK_OFFSET, _MOUNTS.size)
    if len(superblock) < _MOUNTS.size:
        return False
    last, count = _MOUNTS.unpack(superblock)
    return bool(last and count)  # both: one flipped bit is no start


def _manifest(read: Read) -> FoundManifest:
    try:
        return manifest_on(read)
    except (ImageDamaged, OSError):
        return search_manifest(read)


@dataclass(frozen=True)
class _Judged:
    """A passport and what speaks against believing it."""

    stated: CardStatement | None
    doubt: str = ""  # a sentence
    is_broken: bool = False  # its file is damaged, or forged


def _judged(signed: Signed | None, keys: PublicKeys) -> _Judged:
    if signed is None:
        return _Judged(
            None, "The card has no passport: Cardshop didn't write it, or it is damaged.", is_broken=True
        )
    try:
        stated = CardStatement.from_statement(signed.statement)
    except MessageRejected:
        return _Judged(None, "The card's passport is damaged, or that of something else.", is_broken=True)
    try:
        keys.check(signed)
    except NotGenuine as error:
        is_broken = not isinstance(error, UnknownKey)
        return _Judged(stated, f"The card's passport proves nothing. {error.sentence}", is_broken)
    return _Judged(stated)


def _is_of(found: FoundManifest, stated: CardStatement) -> bool:
    """Whether the manifest is that of the passport's image, if perhaps a damaged one."""
    as_named = found.document.replace(found.manifest.digest.encode(), stated.image.encode(), 1)
    is_signed = hashlib.sha256(as_named).hexdigest() == stated.manifest  # its damage is in the name
    return is_signed or found.manifest.digest == stated.image


def _with_wrong_manifest(stated: CardStatement) -> Finding:
    why = (
        "The passport is genuine, but the manifest is not the one that it names: it is damaged, or was "
        "exchanged. Without it nothing else can be judged."
    )
    return Finding(Verdict.DAMAGED, why, stated, (f"{_BOOT}/{MANIFEST_FILE}",), 0, 0)


def _without_manifest(signed: Signed, keys: PublicKeys, error: ImageDamaged) -> Finding:
    passport = _judged(signed, keys)
    verdict = Verdict.NOT_GENUINE if passport.doubt else Verdict.DAMAGED
    why = (
        passport.doubt or f"The manifest is damaged. {error.sentence} Without it nothing else can be judged."
    )
    return Finding(verdict, why, passport.stated, (f"{_BOOT}/{MANIFEST_FILE}",), 0, 0)


def _passport_in(read: Read, manifest: Manifest) -> Signed | None:
    if manifest.passport is None:
        return None
    try:
        block = read(manifest.passport.offset, manifest.passport.length)
        signed = _signed(block)
        # No other bytes say the same, so that a flipped bit isn't overlooked that changes nothing.
        as_written = signed and filled_up(f"{signed.to_text()}\n".encode(), manifest.passport.length)
    except (OSError, ValueError):
        return None
    return signed if block == as_written else None


def _passport_by_name(read: Read) -> Signed | None:
    try:
        system = Fat32(read, BOOT_OFFSET)
        file = system.find(PASSPORT_FILE)
        return None if file is None or file.bytes > CHUNK_BYTES else _signed(system.content(file))
    except (ImageDamaged, OSError):
        return None


def _signed(block: bytes) -> Signed | None:
    try:
        return Signed.from_text(block.decode())
    except (UnicodeDecodeError, MessageRejected):
        return None


def _wrong_chunks(read: Read, manifest: Manifest, observe: Observe) -> list[Chunk]:
    wrong = []
    done = 0
    chunks = manifest.chunks_of_every_card()
    total = sum(chunk.length for chunk in chunks)
    for chunk, content in _read_ahead(read, chunks):
        if content is None or hashlib.sha256(content).hexdigest() != chunk.sha256:
            wrong.append(chunk)
        done += chunk.length
        observe(done, total)
    return wrong


def _read_ahead(read: Read, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, bytes | None]]:
    """Each chunk with its bytes; None: they can't be read. The next is read while one is looked at."""

    def content(chunk: Chunk) -> bytes | None:
        try:
            return read(chunk.offset, chunk.length)
        except OSError:
            return None

    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        ahead: Future[bytes | None] | None = None
        for chunk, following in itertools.zip_longest(chunks, chunks[1:]):
            now = ahead or reader.submit(content, chunk)
            ahead = None if following is None else reader.submit(content, following)
            yield chunk, now.result()


def _file_map(read: Read, manifest: Manifest, wrong: Sequence[Chunk]) -> FileMap | None:
    place = manifest.files
    if not wrong or place is None or any(_is_in(chunk, place) for chunk in wrong):
        return None
    try:
        return FileMap.from_bytes(read(place.offset, place.length).strip())
    except (ImageDamaged, OSError):
        return None


def _names(chunk: Chunk, manifest: Manifest, files: FileMap | None, read: Read) -> tuple[str, ...]:
    for place, name in ((manifest.own, MANIFEST_FILE), (manifest.files, FILES_FILE)):
        if place is not None and _is_in(chunk, place):
            return (f"{_BOOT}/{name}",)
    return (UNKNOWN,) if files is None else files.broken_in(chunk, read)


def _is_of_system(path: str, files: FileMap) -> bool:
    area = files.area_of(path)
    return area is not None and area.offset == SYSTEM_OFFSET


def _is_in(chunk: Chunk, place: Range) -> bool:
    return place.offset <= chunk.offset and chunk.end <= place.end
