"""Signatures of images (Ed25519): who has downloaded one can tell, offline, that this shop made it.

What is signed is the image's name and the SHA-256 of its manifest, which holds the checksum of every piece of
the image. The keys are not those of the tokens: they sign for as long as a card may be in use.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardshop.contract.errors import NotFound
from scheduler.seal import Seal
from scheduler.shop.signing import new_key
from scheduler.store.store import Store

STATEMENT = "cardshop image 1\n{digest}\n{manifest_sha256}\n"


@dataclass(frozen=True)
class ImageSignature:
    """One image's signature."""

    key: str  # id of the public key
    statement: str  # the very text that is signed, UTF-8
    signature: str  # base64 of its 64 bytes


def ensure_key(store: Store, seal: Seal) -> None:
    """Makes the first key when there is none."""
    if store.image_keys.newest() is None:
        store.image_keys.add(new_key(seal))


def signature_of(store: Store, seal: Seal, digest: str) -> ImageSignature:
    """The signature of a kept image.

    Raises:
        NotFound: no such image is kept.
    """
    image, key = store.images.kept(digest), store.image_keys.newest()
    if image is None or key is None:
        raise NotFound("No such image is kept.", hint="Order its recipe again: it is built anew.")
    statement = STATEMENT.format(digest=digest, manifest_sha256=image["manifest_sha256"])
    private = serialization.load_pem_private_key(seal.open(key.sealed_private_pem).encode(), None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("the key of images is no Ed25519 key")
    return ImageSignature(key.kid, statement, base64.b64encode(private.sign(statement.encode())).decode())
