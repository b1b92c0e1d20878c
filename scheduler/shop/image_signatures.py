"""Signatures (Ed25519) of images and cards: who has one can tell, offline, that this shop made it.

What is signed of an image is its name and the SHA-256 of its manifest, which holds the checksum of every
piece of the image. The keys are not those of the tokens: they sign for as long as a card may be in use.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardshop.contract.errors import NotFound
from cardshop.contract.passports import ImageStatement, Signed
from scheduler.seal import Seal
from scheduler.shop.signing import new_key
from scheduler.store.store import Store


def ensure_key(store: Store, seal: Seal) -> None:
    """Makes the first key when there is none."""
    if store.image_keys.newest() is None:
        store.image_keys.add(new_key(seal))


Sign = Callable[[str], Signed]
"""Signs a statement; the same statement with the same key has always the same signature."""


def signer(store: Store, seal: Seal) -> Sign:
    """Signs with the newest key."""
    key = store.image_keys.newest()
    if key is None:
        raise RuntimeError("no key for images: ensure_key() was not called")
    private = serialization.load_pem_private_key(seal.open(key.sealed_private_pem).encode(), None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("the key of images is no Ed25519 key")

    def sign(statement: str) -> Signed:
        return Signed(key.kid, statement, base64.b64encode(private.sign(statement.encode())).decode())

    return sign


def signature_of(store: Store, seal: Seal, digest: str) -> Signed:
    """The signature of a kept image.

    Raises:
        NotFound: no such image is kept.
    """
    image = store.images.kept(digest)
    if image is None:
        raise NotFound("No such image is kept.", hint="Order its recipe again: it is built anew.")
    return signer(store, seal)(ImageStatement(digest, image["manifest_sha256"]).to_statement())
