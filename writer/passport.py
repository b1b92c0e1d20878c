"""The card's passport on its way to the card: the one block that isn't the image's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.contract.passports import CardStatement, Signed
from cardshop.image_format import Manifest, filled_up


@dataclass(frozen=True)
class CardContent:
    """What a card is to hold."""

    manifest: Manifest  # of the card: the passport's chunk has the checksum of this card's passport
    passport: bytes | None  # the bytes of that chunk; None: the image has no place for one


def content_of_card(manifest: Manifest, manifest_sha256: str, signed: Signed | None) -> CardContent:
    """The image with the passport in its place.

    Args:
        manifest: of the image.
        manifest_sha256: of its document.
        signed: the scheduler's statement; a card without it could not be told from a forged one.

    Raises:
        ImageDamaged: what was downloaded is not what the scheduler signed, or has no room for it.
        MessageRejected: the scheduler signed nothing, or something else.
    """
    if signed is not None:
        _check_build(CardStatement.from_statement(signed.statement), manifest, manifest_sha256)
    place = manifest.passport
    if place is None:
        return CardContent(manifest, None)
    if signed is None:
        raise MessageRejected("The claim has no passport for the card.", field="passport")
    try:
        content = filled_up(f"{signed.to_text()}\n".encode(), place.length)
    except ValueError as error:
        raise ImageDamaged(f"The image {manifest.digest} has too little room for a passport.") from error
    sha256 = hashlib.sha256(content).hexdigest()
    chunks = tuple(
        replace(chunk, sha256=sha256) if chunk.offset == place.offset else chunk for chunk in manifest.chunks
    )
    return CardContent(replace(manifest, chunks=chunks), content)


def _check_build(stated: CardStatement, manifest: Manifest, manifest_sha256: str) -> None:
    if (stated.image, stated.manifest) != (manifest.digest, manifest_sha256):
        raise ImageDamaged(
            f"The downloaded image {manifest.digest} is another build than the scheduler knows.",
            hint="Try again: it is downloaded anew.",
        )
