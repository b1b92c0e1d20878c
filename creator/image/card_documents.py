"""The documents of ``/cardshop`` on the boot partition that a card is checked by: manifest, files, passport.

Their places are taken when all else is in the image. The manifest is written when it is known; what is in
the passport's block, each card's writer says. A cluster of the file system may begin in the middle of one of
the image's blocks, so each file has one block more than its document, and blank lines around it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cardshop.contract.errors import ImageDamaged
from cardshop.file_map import Part
from cardshop.fit import Layout
from cardshop.image_format import (
    BLOCK_BYTES,
    FILES_FILE,
    MANIFEST_FILE,
    PASSPORT_FILE,
    Chunk,
    Manifest,
    Range,
    filled_up,
    pieces,
)
from creator.image.block_map import mapped_ranges
from creator.image.boot_partition import opened, read_file, write_file
from creator.image.file_map import file_map

MARGIN_BYTES = 128 * 1024
"""Room for what the manifest lists beyond what is known of it when its place is taken: its own pieces."""

MAP_MARGIN_BYTES = 4096
"""Room for checksums of folders that have more digits once the documents are in them."""

NOTE = {"note": "Cardshop has not written this image to a card: there is no passport. See docs/passports.md."}
_NO_SHA256 = "0" * 64


def reserve(image: Path, layout: Layout, draft: Manifest, system: Sequence[Part], now: int) -> None:
    """Takes the places of all three; that of the passport holds a note, that of the files their map.

    Args:
        image: the image file, all else is in it.
        layout: where its partitions are.
        draft: the manifest, as far as it is known.
        system: the parts of the system partition's files.
        now: date of the files, seconds since 1970.

    Raises:
        ProgramFailed: the boot partition is full.
    """
    mapped = mapped_ranges(image, layout)
    listed = tuple(Chunk(piece.offset, piece.length, _NO_SHA256) for piece in pieces(mapped))
    known = len(replace(draft, chunks=listed).to_bytes())
    map_bytes = len(file_map(image, layout, system).to_bytes())
    write_file(image, PASSPORT_FILE, _blank(2 * BLOCK_BYTES), now)
    write_file(image, FILES_FILE, _blank(_whole_blocks(map_bytes + MAP_MARGIN_BYTES) + BLOCK_BYTES), now)
    write_file(image, MANIFEST_FILE, _blank(_whole_blocks(known + MARGIN_BYTES) + BLOCK_BYTES), now)
    place = place_of(image, FILES_FILE)
    # Anew: the folder that the documents were put into has changed, and so have its checksums.
    files = file_map(image, layout, system).to_bytes()
    _write(image, place, filled_up(files, place.length))
    note = filled_up((json.dumps(NOTE) + "\n").encode(), BLOCK_BYTES)
    _write(image, place_of(image, PASSPORT_FILE), note)


def place_of(image: Path, file: str) -> Range:
    """The whole blocks that are this file's alone.

    Raises:
        ImageDamaged: it isn't there, or is in pieces.
    """
    with opened(image) as system:
        found = system.find(file)
    if found is None or len(found.ranges) != 1:
        raise ImageDamaged(f"The boot partition has no file {file} in one piece.")
    first = -(-found.ranges[0].offset // BLOCK_BYTES)
    last = (found.ranges[0].offset + found.bytes) // BLOCK_BYTES
    # Of a file that begins with a block, the block that the others need is left: all have the same room.
    blocks = min(last - first, found.bytes // BLOCK_BYTES - 1)
    return Range(first * BLOCK_BYTES, blocks * BLOCK_BYTES)


def write_manifest(image: Path, manifest: Manifest) -> Manifest:
    """Puts the manifest into its place, and reads it back as the file that it is on the card.

    Args:
        image: the image file.
        manifest: names its place; what its chunks say of that place is not looked at.

    Returns:
        The manifest with the chunks of its own place.

    Raises:
        ImageDamaged: it has no room, or the boot partition gives back something else.
    """
    document = manifest.to_bytes()
    place = manifest.own
    if place is None or len(document) > place.length:
        raise ImageDamaged(
            f"The image's manifest of {len(document)} bytes has no room on the boot partition."
        )
    _write(image, place, filled_up(document, place.length))
    if read_file(image, MANIFEST_FILE).strip() != document.strip():
        raise ImageDamaged("The boot partition doesn't give back the image's manifest.")
    return Manifest.from_bytes(document, MANIFEST_FILE)


def _whole_blocks(length: int) -> int:
    return -(-length // BLOCK_BYTES) * BLOCK_BYTES


def _blank(length: int) -> bytes:
    return b"\n" * length


def _write(image: Path, place: Range, content: bytes) -> None:
    descriptor = os.open(image, os.O_WRONLY | os.O_CLOEXEC)
    try:
        data = memoryview(content)
        offset = place.offset
        while data:
            count = os.pwrite(descriptor, data, offset)
            data, offset = data[count:], offset + count
    finally:
        os.close(descriptor)
