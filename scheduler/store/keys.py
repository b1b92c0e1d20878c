"""Keys that sign; the private half is sealed. The newest signs, older ones verify until retired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo import DESCENDING

from scheduler.store.database import Clock, Database, Document


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key pair."""

    kid: str
    sealed_private_pem: str
    public_pem: str


class Keys:
    """The collections ``keys`` (of tokens) and ``image_keys`` (of images)."""

    def __init__(self, database: Database[Document], clock: Clock, name: str = "keys") -> None:
        self._keys = database[name]
        self._clock = clock

    def prepare(self) -> None:
        """A retired key's document goes when the last token that it signed has expired."""
        self._keys.create_index("retires_at", expireAfterSeconds=0)

    def add(self, key: SigningKey) -> None:
        """Keeps a new key, which signs from now on."""
        self._keys.insert_one(
            {
                "_id": key.kid,
                "sealed_private_pem": key.sealed_private_pem,
                "public_pem": key.public_pem,
                "created_at": self._clock(),
                "retires_at": None,
            }
        )

    def newest(self) -> SigningKey | None:
        """The key that signs."""
        document = self._keys.find_one({"retires_at": None}, sort=[("created_at", DESCENDING), ("_id", 1)])
        return _key(document) if document else None

    def every(self) -> list[SigningKey]:
        """All keys, the newest first."""
        return [_key(document) for document in self._keys.find().sort("created_at", DESCENDING)]

    def verifying(self, kid: str) -> SigningKey | None:
        """The key of that id, unless it is retired."""
        now = self._clock()
        document = self._keys.find_one(
            {"_id": kid, "$or": [{"retires_at": None}, {"retires_at": {"$gt": now}}]}
        )
        return _key(document) if document else None

    def retire_older(self, kid: str, at: datetime) -> None:
        """Lets every key older than ``kid`` verify until ``at`` and not longer.

        Of two that rotate at once neither retires the other's key: one must stay to sign.
        """
        key = self._keys.find_one({"_id": kid})
        if key is not None:
            older = {"created_at": {"$lt": key["created_at"]}, "retires_at": None}
            self._keys.update_many(older, {"$set": {"retires_at": at}})


def _key(document: Document) -> SigningKey:
    return SigningKey(document["_id"], document["sealed_private_pem"], document["public_pem"])
