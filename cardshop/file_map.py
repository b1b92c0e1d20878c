"""Which file of a card each byte belongs to, as the image's creator wrote it down (``cardshop/files.json``).

A card's own file systems could tell, until they are what is damaged. And a chunk that is wrong may hold parts
of hundreds of small files: the map has a checksum (CRC-32, only to tell them apart) for each part that
doesn't fill a whole chunk, so that the broken one is named.
"""

from __future__ import annotations

import bisect
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from cardshop.contract import wire
from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.fat32 import Read
from cardshop.image_format import CHUNK_BYTES, Chunk, Range, pieces

VERSION = 1
NO_CRC = 2**32 - 1
"""Stands for each checksum while only the map's size is asked for: none is longer."""


@dataclass(frozen=True)
class Part:
    """Some whole blocks of a file, where they lie in the image."""

    path: str  # as the running card has it: "/data/contents/a.zim"; a folder ends with "/"
    offset: int
    length: int
    crc: int | None  # of its bytes; None: it is nothing but whole chunks

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.length


@dataclass(frozen=True)
class Area:
    """A partition."""

    name: str  # "boot", "system", "data"
    mount: str  # where the running card has it: "/boot/firmware", "/", "/data"
    offset: int
    length: int


class FileMap:
    """The parts of all files, and the partitions that they are in."""

    def __init__(self, areas: Iterable[Area], parts: Iterable[Part]) -> None:
        self.areas = tuple(areas)
        self._parts = sorted(parts, key=lambda part: part.offset)
        self._offsets = [part.offset for part in self._parts]
        self._longest = max((part.length for part in self._parts), default=0)

    def to_bytes(self) -> bytes:
        """The document; the same map gives the same bytes."""
        files: dict[str, list[list[int]]] = {}
        for part in self._parts:
            numbers = [part.offset, part.length, *([] if part.crc is None else [part.crc])]
            files.setdefault(part.path, []).append(numbers)
        document = {"version": VERSION, "areas": wire.to_wire(self.areas), "files": files}
        return (json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n").encode(
            errors="surrogateescape"
        )

    @classmethod
    def from_bytes(cls, document: bytes) -> Self:
        """Reads the document. Raises ImageDamaged."""
        try:
            data = wire.parse(document.decode(errors="surrogateescape"))
            if data["version"] != VERSION:
                raise ImageDamaged(f"The card's list of files has version {data['version']}.")
            areas = [wire.from_wire(Area, area) for area in data["areas"]]
            return cls(areas, list(_parts_in(data["files"])))
        except (ValueError, KeyError, TypeError, AttributeError, MessageRejected) as error:
            raise ImageDamaged("The card's list of files can't be read.") from error

    def broken_in(self, chunk: Chunk, read: Read) -> tuple[str, ...]:
        """The files whose bytes in a wrong chunk are wrong; when none is, what else lies there.

        Args:
            chunk: of the image's manifest; the card holds other bytes.
            read: reads the card; may raise OSError.
        """
        found = [part.path for part in self._overlapping(chunk) if _is_broken(part, read)]
        if found:
            return tuple(dict.fromkeys(found))
        within = [
            area
            for area in self.areas
            if area.offset < chunk.end and chunk.offset < area.offset + area.length
        ]
        return tuple(structure(area.name) for area in within) or (PARTITION_TABLE,)

    def area_of(self, path: str) -> Area | None:
        """The partition that a file is in."""
        for area in sorted(self.areas, key=lambda area: len(area.mount), reverse=True):
            if path.startswith(f"{area.mount.rstrip('/')}/") or path == structure(area.name):
                return area
        return None

    def _overlapping(self, chunk: Chunk) -> Iterator[Part]:
        first = bisect.bisect_left(self._offsets, chunk.offset - self._longest)
        for part in self._parts[first:]:
            if part.offset >= chunk.end:
                return
            if part.end > chunk.offset:
                yield part


PARTITION_TABLE = "(partition table and the space before the boot partition)"


def structure(area: str) -> str:
    """What a partition has beside its files: folders, tables, the journal."""
    return f"(structure of the {area} partition)"


def parts_of(path: str, ranges: Iterable[Range]) -> Iterator[Part]:
    """The parts of a file of these whole blocks; :data:`NO_CRC` stands for each checksum."""
    run: Range | None = None
    for piece in pieces(ranges):
        if piece.length < CHUNK_BYTES:
            yield Part(path, piece.offset, piece.length, NO_CRC)
        elif run is not None and run.end == piece.offset:
            run = Range(run.offset, run.length + piece.length)
        else:
            if run is not None:
                yield Part(path, run.offset, run.length, None)
            run = piece
    if run is not None:
        yield Part(path, run.offset, run.length, None)


def with_checksums(parts: Iterable[Part], read: Read) -> Iterator[Part]:
    """The parts with their checksums; the image is read in order and in large pieces."""
    window, start = memoryview(b""), 0
    for part in sorted(parts, key=lambda part: part.offset):
        if part.crc is None:
            yield part
            continue
        if part.end > start + len(window):  # it never crosses the window's end otherwise
            start = part.offset // CHUNK_BYTES * CHUNK_BYTES
            window = memoryview(read(start, CHUNK_BYTES))
        crc = zlib.crc32(window[part.offset - start : part.end - start])
        yield replace(part, crc=crc)


def _parts_in(files: Mapping[str, list[list[int]]]) -> Iterator[Part]:
    for path, listed in files.items():
        for numbers in listed:
            offset, length, *crc = map(_number, numbers)
            yield Part(path, offset, length, crc[0] if crc else None)


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError("no number")
    return value


def _is_broken(part: Part, read: Read) -> bool:
    if part.crc is None:
        return True  # the whole chunk is its own
    try:
        return zlib.crc32(read(part.offset, part.length)) != part.crc
    except OSError:
        return True
