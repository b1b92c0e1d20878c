"""Passwords: bcrypt hashes, with a memory of what was checked so that a storm of logins costs one hash."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock

import bcrypt

from cardshop.contract.errors import InvalidInput

COST = 12
"""bcrypt's logarithmic cost: about a quarter of a second a hash."""

LEAST_BYTES = 8
MOST_BYTES = 72
"""bcrypt reads no more."""

REMEMBERED = 1024

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT_BASE64 = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def hash_password(password: str) -> str:
    """A bcrypt hash for the database.

    Raises:
        InvalidInput: shorter than 8 bytes or longer than 72.
    """
    clear = password.encode()
    if not LEAST_BYTES <= len(clear) <= MOST_BYTES or b"\0" in clear:
        raise InvalidInput(f"A password has {LEAST_BYTES} to {MOST_BYTES} bytes.", field="password")
    return bcrypt.hashpw(clear, bcrypt.gensalt(COST)).decode()


def card_password_hash(password: str, salt_seed: str) -> str:
    """A ``crypt(3)`` hash (``$2b$``) for a card's account; equal for equal arguments.

    Equal, since an image built again must have the same bytes. ``salt_seed`` is 64 hex digits that nobody
    outside can compute.
    """
    salt = base64.b64encode(bytes.fromhex(salt_seed)[:16]).rstrip(b"=")
    salt = salt.translate(bytes.maketrans(_BASE64, _BCRYPT_BASE64))
    return bcrypt.hashpw(password.encode(), b"$2b$%02d$" % COST + salt).decode()


@functools.cache
def _nobodys_hash() -> bytes:
    """A hash that no password gives; one a process, for it costs as much as a login."""
    return bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(COST))


class PasswordCheck:
    """Compares passwords with their hashes; a pair that was right is remembered, keyed, in memory only.

    A changed password changes the hash, so what was remembered of the old one is never asked for again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()
        self._nobodys_hash = _nobodys_hash()

    def is_right(self, password: str, password_hash: str) -> bool:
        """Whether ``password`` gave ``password_hash``."""
        clear = password.encode()
        if len(clear) > MOST_BYTES:
            return False
        known = hmac.new(self._key, password_hash.encode() + b"\0" + clear, hashlib.sha256).digest()
        with self._lock:
            if known in self._right:
                self._right.move_to_end(known)
                return True
        if not bcrypt.checkpw(clear, password_hash.encode()):
            return False
        with self._lock:
            self._right[known] = None
            if len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
        return True

    def waste(self, password: str) -> None:
        """Takes as long as a check, so that an answer's time doesn't tell which user names exist."""
        bcrypt.checkpw(password.encode()[:MOST_BYTES], self._nobodys_hash)
