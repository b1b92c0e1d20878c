"""Signed tokens (JWT, EdDSA): access to the API, and one operation on one file of the warehouse."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardshop.contract.errors import NotAuthenticated
from scheduler.seal import Seal
from scheduler.store.database import Clock
from scheduler.store.keys import Keys, SigningKey

ALGORITHM = "EdDSA"
ISSUER = "cardshop"
ACCESS_AUDIENCE = "cardshop-api"
WAREHOUSE_AUDIENCE = "cardshop-warehouse"

ACCESS_LIFE = timedelta(minutes=60)
WAREHOUSE_LIFE = timedelta(hours=12)
"""An upload or a download of the largest image over a slow line, with retries."""

KEY_KNOWN = timedelta(minutes=1)
"""A key's public half is remembered for so long: each request shows a token. A key verifies for hours after
its successor came, so that nobody is let in who had to stay out."""


@dataclass(frozen=True)
class Access:
    """What an access token says."""

    username: str
    session: str  # family of its refresh token


@dataclass(frozen=True)
class WarehouseRight:
    """What a warehouse token says."""

    username: str  # whom it was given to
    operation: str  # "upload", "download" or "shelve"
    digest: str  # of the one image; of none where it is for the shelf
    expires_at: datetime


class Signing:
    """Signs with the newest key of the database and verifies with any that is not retired."""

    def __init__(self, keys: Keys, seal: Seal, clock: Clock) -> None:
        self._keys = keys
        self._seal = seal
        self._clock = clock
        self._verifying: dict[str, tuple[datetime, SigningKey]] = {}  # by kid, with when it was read

    def ensure_key(self) -> None:
        """Makes the first key when there is none."""
        if self._keys.newest() is None:
            self._keys.add(new_key(self._seal))

    def rotate(self) -> None:
        """Signs with a new key from now on; the old ones verify as long as a token of theirs may live."""
        key = new_key(self._seal)
        self._keys.add(key)
        self._keys.retire_older(key.kid, self._clock() + WAREHOUSE_LIFE)

    def access_token(self, access: Access) -> str:
        """A token for the API, good for 60 minutes."""
        return self._signed(
            {"aud": ACCESS_AUDIENCE, "sub": access.username, "sid": access.session}, ACCESS_LIFE
        )

    def read_access_token(self, token: str) -> Access:
        """What the token says. Raises NotAuthenticated."""
        claims = self._verified(token, ACCESS_AUDIENCE, ["sid"])
        return Access(username=str(claims["sub"]), session=str(claims["sid"]))

    def warehouse_token(self, username: str, operation: str, digest: str) -> tuple[str, datetime]:
        """A token for one operation on one image, and when it ends."""
        claims = {"aud": WAREHOUSE_AUDIENCE, "sub": username, "operation": operation, "digest": digest}
        return self._signed(claims, WAREHOUSE_LIFE), self._clock() + WAREHOUSE_LIFE

    def read_warehouse_token(self, token: str) -> WarehouseRight:
        """What the token says. Raises NotAuthenticated."""
        claims = self._verified(token, WAREHOUSE_AUDIENCE, ["operation", "digest"])
        return WarehouseRight(
            username=str(claims["sub"]),
            operation=str(claims["operation"]),
            digest=str(claims["digest"]),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )

    def _signed(self, claims: dict[str, Any], life: timedelta) -> str:
        key = self._keys.newest()
        if key is None:
            raise RuntimeError("no signing key: ensure_key() was not called")
        now = self._clock()
        whole = {**claims, "iss": ISSUER, "iat": now, "exp": now + life, "jti": secrets.token_hex(8)}
        private = self._seal.open(key.sealed_private_pem)
        return jwt.encode(whole, private, algorithm=ALGORITHM, headers={"kid": key.kid})

    def _verified(self, token: str, audience: str, required: list[str]) -> dict[str, Any]:
        refused = NotAuthenticated("The token is not valid.", hint="Log in again.")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._key(kid) if isinstance(kid, str) else None
            if key is None:
                raise refused
            # The clock is ours, so the library's own comparison of "exp" is off.
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public_pem,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "sub", *required],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            raise refused from None
        if claims["exp"] <= self._clock().timestamp():
            raise NotAuthenticated("The token has expired.", hint="Refresh it, or log in again.")
        return claims

    def _key(self, kid: str) -> SigningKey | None:
        """The key that verifies, unless it is retired: that may be seen :data:`KEY_KNOWN` late."""
        now = self._clock()
        read_at, known = self._verifying.get(kid, (None, None))
        if read_at is not None and read_at <= now < read_at + KEY_KNOWN:
            return known
        key = self._keys.verifying(kid)
        if key is not None:
            self._verifying[kid] = (now, key)
        return key


def new_key(seal: Seal) -> SigningKey:
    """An Ed25519 key pair that nobody has; its private half is sealed."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(secrets.token_hex(8), seal.seal(pem.decode()), public.decode())
