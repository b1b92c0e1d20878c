"""The files beside an image: its manifest (ours, JSON) and its block map (bmap 2.0, XML).

An image ``<digest>.img`` is a raw, sparse disk image. Only its mapped ranges need to reach a card: every
block that a file system on it uses, its metadata that is all zeroes included. Both files list the same
pieces of those ranges with their SHA-256; ``<digest>.json`` is what our own parts read, ``<digest>.bmap`` is
what ``bmaptool copy`` reads (format: bmap 2.0 of Intel's bmap-tools). Offsets and lengths are bytes.

The manifest lies on the card too, so that a card can be checked where no network is. A document can't hold
the checksum of itself: it names its place (``own``) instead, and the checksums of that place follow from its
bytes. ``passport`` names the one block that differs from card to card: a note in the image, the card's
passport on a card.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import defusedxml
from defusedxml.ElementTree import fromstring

from cardshop.contract import wire
from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.contract.tasks import BaseReference

BLOCK_BYTES = 4096
"""Ranges begin and end at multiples of this; it is also the block of the ext4 file systems."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Largest piece that one checksum covers: what is sent or written again when it is wrong."""

MANIFEST_VERSION = 1

SBOM_SUFFIX = ".cdx.json"
"""Of a bill of materials (CycloneDX), beside an image and beside a base image."""

PICTURE_SUFFIX = ".png"
"""Of the picture of its portal page, beside an image that was tried in a virtual machine."""

PNG = b"\x89PNG\r\n\x1a\n"
"""What a PNG file begins with."""

MANIFEST_FILE = "cardshop/manifest.json"
PASSPORT_FILE = "cardshop/passport.json"
FILES_FILE = "cardshop/files.json"
"""Where a card's boot partition has its documents."""

LARGEST_MANIFEST_BYTES = 256 * 1024 * 1024
"""A manifest of the largest image is smaller; more memory is taken for nobody's word."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_CHECKSUM = "0" * 64


@dataclass(frozen=True, order=True)
class Range:
    """Some bytes of an image."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.length


@dataclass(frozen=True)
class Chunk:
    """A mapped piece of an image and its checksum."""

    offset: int
    length: int
    sha256: str

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.length


@dataclass(frozen=True)
class ContentEntry:
    """A ZIM file of an image: it lies in ``/contents`` of the data partition."""

    ident: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is in an image. ``digest`` names the image; it is not the checksum of its bytes."""

    digest: str
    bytes: int
    mapped_bytes: int
    chunks: tuple[Chunk, ...]  # ascending, none overlaps, each at most chunk_bytes
    contents: tuple[ContentEntry, ...]
    base: BaseReference
    block_bytes: int = BLOCK_BYTES
    chunk_bytes: int = CHUNK_BYTES
    own: Range | None = None  # where this very document lies; None: it isn't in the image
    passport: Range | None = None  # a chunk of its own, other on each card; None: cards have none
    sbom_sha256: str | None = None  # of the image's bill of materials; None: it has none
    files: Range | None = None  # chunks of their own: which file each byte belongs to (cardshop.file_map)
    version: int = MANIFEST_VERSION

    def ranges(self) -> tuple[Range, ...]:
        """The mapped ranges, as long as they go: neighbours are one."""
        return merge(Range(chunk.offset, chunk.length) for chunk in self.chunks)

    def chunks_of_every_card(self) -> tuple[Chunk, ...]:
        """All chunks but the passport's: what the cards of one image have in common."""
        place = self.passport
        return tuple(chunk for chunk in self.chunks if place is None or chunk.offset != place.offset)

    def to_bytes(self) -> builtins.bytes:
        """The document; the same manifest gives the same bytes. The chunks of its own place are left out."""
        listed = tuple(chunk for chunk in self.chunks if not _is_inside(chunk, self.own))
        return (json.dumps(wire.to_wire(replace(self, chunks=listed)), indent=1) + "\n").encode()

    def to_file(self, path: Path) -> None:
        """Writes the document."""
        path.write_bytes(self.to_bytes())

    def with_own_chunks(self, document: builtins.bytes) -> Self:
        """The manifest with the chunks of the place where ``document``, its bytes, lies in the image.

        Raises:
            ValueError: the document is too long for its place.
        """
        if self.own is None:
            return self
        content = filled_up(document, self.own.length)
        added = []
        for piece in pieces([self.own], self.chunk_bytes):
            start = piece.offset - self.own.offset
            sha256 = hashlib.sha256(content[start : start + piece.length]).hexdigest()
            added.append(Chunk(piece.offset, piece.length, sha256))
        return replace(self, chunks=tuple(sorted((*self.chunks, *added), key=lambda chunk: chunk.offset)))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads and checks a manifest. Raises ImageDamaged, as :meth:`from_bytes`."""
        return cls.from_bytes(path.read_bytes(), path.name)

    @classmethod
    def from_bytes(cls, document: builtins.bytes, name: str) -> Self:
        """Reads and checks a manifest; ``name`` is what errors call it.

        Raises:
            ImageDamaged: it can't be read, or its chunks can't be those of one image.
        """
        try:
            data = wire.parse(document)
            if not isinstance(data, dict) or data.get("version") != MANIFEST_VERSION:
                raise ImageDamaged(f"{name} is no image manifest of version {MANIFEST_VERSION}.")
            manifest = wire.from_wire(cls, data)
        except ValueError as error:
            raise ImageDamaged(f"{name} is no JSON document.") from error
        except MessageRejected as error:
            raise ImageDamaged(f"{name} is no image manifest. {error.sentence}") from error
        if not _SHA256.fullmatch(manifest.digest):
            raise ImageDamaged(f"{name} names no image: its digest must be 64 hex digits.")
        if manifest.block_bytes < 1 or manifest.bytes < 1 or manifest.chunk_bytes < manifest.block_bytes:
            raise ImageDamaged(f"{name} has a size that no image has.")
        if manifest.chunk_bytes > CHUNK_BYTES:
            raise ImageDamaged(f"{name} has chunks larger than {CHUNK_BYTES} bytes.")
        for place in (manifest.own, manifest.passport, manifest.files):
            _check_place(name, place, manifest)
        if manifest.own is not None and len(document) > manifest.own.length:
            raise ImageDamaged(f"{name} names a place for itself that it can't have.")
        manifest = manifest.with_own_chunks(document)
        _check_chunks(name, manifest.chunks, manifest.bytes, manifest.block_bytes, manifest.chunk_bytes)
        if manifest.mapped_bytes != sum(chunk.length for chunk in manifest.chunks):
            raise ImageDamaged(f"{name} contradicts itself: mapped_bytes is not the sum of its chunks.")
        if manifest.passport is not None and not any(
            (chunk.offset, chunk.length) == (manifest.passport.offset, manifest.passport.length)
            for chunk in manifest.chunks
        ):
            raise ImageDamaged(f"{name} names a place for the passport that is no chunk.")
        return manifest


@dataclass(frozen=True)
class BlockMap:
    """A bmap: the mapped chunks of an image of ``image_bytes``. Its ranges may be neighbours."""

    image_bytes: int
    chunks: tuple[Chunk, ...]

    def to_file(self, path: Path) -> None:
        """Writes the XML file with its checksum over itself."""
        text = self._to_xml()
        checksum = hashlib.sha256(text.encode()).hexdigest()
        path.write_text(text.replace(_NO_CHECKSUM, checksum, 1))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads and checks a bmap whose blocks are :data:`BLOCK_BYTES` and whose checksums are SHA-256.

        Raises:
            ImageDamaged: it can't be read, its own checksum is wrong, or its ranges make no sense.
        """
        try:
            text = path.read_text()
            root = fromstring(text)
            told = (root.findtext("BmapFileChecksum") or "").strip()
            image_bytes = int(root.findtext("ImageSize") or "")
            elements = root.findall("BlockMap/Range")
            chunks = tuple(_chunk(element, image_bytes) for element in elements)
        except (ET.ParseError, defusedxml.DefusedXmlException, ValueError) as error:
            raise ImageDamaged(f"{path.name} is no block map of format bmap 2.0.") from error
        actual = hashlib.sha256(text.replace(told, _NO_CHECKSUM, 1).encode()).hexdigest()
        if not _SHA256.fullmatch(told) or actual != told:
            raise ImageDamaged(f"{path.name} differs from its own checksum.")
        _check_chunks(path.name, chunks, image_bytes, BLOCK_BYTES, image_bytes)
        return cls(image_bytes, chunks)

    def _to_xml(self) -> str:
        mapped_bytes = sum(chunk.length for chunk in self.chunks)
        ranges = "".join(
            f'    <Range chksum="{chunk.sha256}">'
            f"{chunk.offset // BLOCK_BYTES}-{(chunk.end - 1) // BLOCK_BYTES}</Range>\n"
            for chunk in self.chunks
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<bmap version="2.0">\n'
            f"  <ImageSize>{self.image_bytes}</ImageSize>\n"
            f"  <BlockSize>{BLOCK_BYTES}</BlockSize>\n"
            f"  <BlocksCount>{-(-self.image_bytes // BLOCK_BYTES)}</BlocksCount>\n"
            f"  <MappedBlocksCount>{mapped_bytes // BLOCK_BYTES}</MappedBlocksCount>\n"
            "  <ChecksumType>sha256</ChecksumType>\n"
            f"  <BmapFileChecksum>{_NO_CHECKSUM}</BmapFileChecksum>\n"
            f"  <BlockMap>\n{ranges}  </BlockMap>\n"
            "</bmap>\n"
        )


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same bytes in as few ranges as possible, ascending; ranges may come in any order and overlap."""
    merged: list[Range] = []
    for item in sorted(ranges):
        if merged and item.offset <= merged[-1].end:
            last = merged[-1]
            merged[-1] = Range(last.offset, max(last.end, item.end) - last.offset)
        elif item.length:
            merged.append(item)
    return tuple(merged)


def pieces(ranges: Iterable[Range], piece_bytes: int = CHUNK_BYTES) -> Iterator[Range]:
    """The ranges cut where a multiple of ``piece_bytes`` lies in them."""
    for item in ranges:
        offset = item.offset
        while offset < item.end:
            end = min((offset // piece_bytes + 1) * piece_bytes, item.end)
            yield Range(offset, end - offset)
            offset = end


def filled_up(document: bytes, length: int) -> bytes:
    """A document as it lies in a place of ``length`` bytes: blank lines follow it.

    Raises:
        ValueError: it is longer.
    """
    if len(document) > length:
        raise ValueError(f"{len(document)} bytes don't go into {length}")
    return document.ljust(length, b"\n")


def _is_inside(chunk: Chunk, place: Range | None) -> bool:
    return place is not None and place.offset <= chunk.offset and chunk.end <= place.end


def _chunk(element: ET.Element, image_bytes: int) -> Chunk:
    first, _, last = (element.text or "").strip().partition("-")
    offset = int(first) * BLOCK_BYTES
    end = min((int(last or first) + 1) * BLOCK_BYTES, image_bytes)
    return Chunk(offset, end - offset, element.attrib.get("chksum", ""))


def _check_place(name: str, place: Range | None, manifest: Manifest) -> None:
    """Before anything is made of it: a place of many tiny chunks would take memory without end."""
    if place is None:
        return
    whole = manifest.block_bytes == BLOCK_BYTES and not (place.offset | place.length) % BLOCK_BYTES
    inside = place.offset >= 0 and 0 < place.length <= LARGEST_MANIFEST_BYTES and place.end <= manifest.bytes
    if not (whole and inside):
        raise ImageDamaged(f"{name} names a place on the card that can't be.")


def _check_chunks(
    name: str, chunks: tuple[Chunk, ...], image_bytes: int, block_bytes: int, chunk_bytes: int
) -> None:
    end = 0
    for chunk in chunks:
        aligned = chunk.offset % block_bytes == 0 and (
            chunk.length % block_bytes == 0 or chunk.end == image_bytes
        )
        inside = end <= chunk.offset and 0 < chunk.length <= chunk_bytes and chunk.end <= image_bytes
        if not (aligned and inside and _SHA256.fullmatch(chunk.sha256)):
            raise ImageDamaged(f"{name} has a piece at byte {chunk.offset} that no image can have.")
        end = chunk.end
