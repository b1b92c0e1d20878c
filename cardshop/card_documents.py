"""Finds on a card, or in an image, the manifest that its creator put there."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.contract.errors import ImageDamaged
from cardshop.fat32 import Fat32, Read
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET
from cardshop.image_format import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    LARGEST_MANIFEST_BYTES,
    MANIFEST_FILE,
    Manifest,
)

_BEGINS, _ENDS = b'{\n "digest": "', b"\n}\n"
"""Of a manifest's document; neither stands in its middle."""


@dataclass(frozen=True)
class FoundManifest:
    """A manifest as it lies on a card: what it says is believed when its signature is right."""

    manifest: Manifest
    document: bytes  # as the file beside the image has it: its SHA-256 is what signatures name


def manifest_on(read: Read) -> FoundManifest:
    """The manifest on the boot partition of the card that ``read`` reads.

    Raises:
        ImageDamaged: there is none, or it can't be read.
        OSError: what ``read`` raises.
    """
    system = Fat32(read, BOOT_OFFSET)
    file = system.find(MANIFEST_FILE)
    if file is None or file.bytes > LARGEST_MANIFEST_BYTES:
        raise ImageDamaged(f"The boot partition has no {MANIFEST_FILE}.")
    document = system.content(file).strip() + b"\n"
    return FoundManifest(Manifest.from_bytes(document, MANIFEST_FILE), document)


def search_manifest(read: Read) -> FoundManifest:
    """As :func:`manifest_on`, where the file system is damaged: looks at every block of the partition.

    Raises:
        ImageDamaged: there is none, or it is damaged too.
        OSError: what ``read`` raises.
    """
    for start in range(BOOT_OFFSET, BOOT_OFFSET + BOOT_BYTES, CHUNK_BYTES):
        window = read(start, CHUNK_BYTES)
        for place in range(0, len(window), BLOCK_BYTES):
            if window.startswith(_BEGINS, place):
                return _read_from(read, start + place)
    raise ImageDamaged("The boot partition has no manifest.")


def _read_from(read: Read, offset: int) -> FoundManifest:
    length = CHUNK_BYTES
    while True:
        content = read(offset, length)
        end = content.find(_ENDS)
        if end >= 0:
            document = content[: end + len(_ENDS)]
            return FoundManifest(Manifest.from_bytes(document, MANIFEST_FILE), document)
        if len(content) < length or length > LARGEST_MANIFEST_BYTES:
            raise ImageDamaged("The manifest on the boot partition has no end.")
        length *= 2
