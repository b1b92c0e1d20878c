"""Sealing: what the database holds of a secret that must be had back in clear, and keyed fingerprints.

Everything hangs on ``CARDSHOP_SECRET_KEY``; without it a copy of the database tells no Wi-Fi key, no card's
password and no signing key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardshop.contract.errors import CardshopError, InvalidInput

LEAST_KEY_CHARACTERS = 32


class SealBroken(CardshopError):
    """A sealed value can't be opened: another secret key, or a changed value."""

    code = "seal-broken"


class Seal:
    """Seals and opens secrets with keys derived from the server's secret key.

    Args:
        secret_key: at least 32 characters from a random source.

    Raises:
        InvalidInput: the key is too short.
    """

    def __init__(self, secret_key: str) -> None:
        if len(secret_key) < LEAST_KEY_CHARACTERS:
            raise InvalidInput(
                f"The secret key has less than {LEAST_KEY_CHARACTERS} characters.",
                hint="Make one with: openssl rand -hex 32",
                field="secret_key",
            )
        self._fernet = Fernet(base64.urlsafe_b64encode(_derived(secret_key, b"cardshop seal")))
        self._fingerprint_key = _derived(secret_key, b"cardshop fingerprint")

    def seal(self, clear: str) -> str:
        """The sealed form: encrypted and authenticated, different each time."""
        return self._fernet.encrypt(clear.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SealBroken."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SealBroken(
                "A secret in the database can't be opened.", hint="Was the server's secret key changed?"
            ) from None

    def fingerprint(self, clear: str) -> str:
        """HMAC-SHA256 in hex: equal for equal secrets, and no help to who would guess them."""
        return hmac.new(self._fingerprint_key, clear.encode(), hashlib.sha256).hexdigest()


def _derived(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret_key.encode())
