"""Checks the scheduler's signatures (Ed25519), offline, with the public keys of a file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cardshop.contract import wire
from cardshop.contract.errors import CardshopError, InvalidInput
from cardshop.contract.passports import Signed


class NotGenuine(CardshopError):
    """A signature is not that of one of the known keys."""

    code = "not-genuine"


class UnknownKey(NotGenuine):
    """It is signed with a key that is not among the known ones: by another shop, most likely."""

    code = "unknown-key"


class PublicKeys:
    """The keys that are trusted, by their ids."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = keys

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads the answer of ``GET /v1/image-keys``.

        Raises:
            InvalidInput: it can't be read, or holds no keys.
        """
        try:
            items = wire.parse(path.read_bytes())["items"]
            keys = {str(item["key"]): _public_key(item["public_pem"]) for item in items}
        except OSError as error:
            raise InvalidInput(f"{path} can't be read: {error.strerror}.", field="--keys") from None
        except (ValueError, KeyError, TypeError):
            keys = {}
        if not keys:
            raise InvalidInput(
                f"{path} holds no public keys.",
                hint="Make it where there is a network: cardshop keys > keys.json",
                field="--keys",
            )
        return cls(keys)

    def check(self, signed: Signed) -> None:
        """Returns when one of the keys signed the statement. Raises UnknownKey, NotGenuine."""
        key = self._keys.get(signed.key)
        if key is None:
            raise UnknownKey(
                f"It is signed with a key ({signed.key[:64]!r}) that is not among the known ones.",
                hint="Another shop made it, or the keys are older than it: get them anew (cardshop keys).",
            )
        try:
            signature = base64.b64decode(signed.signature, validate=True)
            if base64.b64encode(signature).decode() != signed.signature:
                raise InvalidSignature  # its last letter has bits to spare
            key.verify(signature, signed.statement.encode())
        except (InvalidSignature, binascii.Error, UnicodeEncodeError):
            raise NotGenuine(
                "The signature is not right: it was forged, or what it signs was changed."
            ) from None


def _public_key(pem: str) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("no Ed25519 key")
    return key
