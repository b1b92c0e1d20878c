"""Finds on a card, or in an image, the manifest that its creator put there."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.contract.errors import ImageDamaged
from cardshop.fat32 import Fat32, Read
from cardshop.fit import BOOT_OFFSET
from cardshop.image_format import LARGEST_MANIFEST_BYTES, MANIFEST_FILE, Manifest


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
