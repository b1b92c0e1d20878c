"""The two tasks: build an image, write a card. No secret travels in them.

What a worker must not read from the broker (Wi-Fi key, the warehouse's token) comes with the answer to its
one call to the scheduler, the :class:`Claim`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected
from cardshop.contract.passports import Signed

TASK_VERSION = 1

DIRECT = "direct"
ARCHIVES = ("tar", "gztar", "bztar", "xztar", "zip")
"""How a content comes (the words of Offspot's ``via``)."""

T = TypeVar("T")


@dataclass(frozen=True)
class Content:
    """One ZIM file of a resolved recipe, or one of an Offspot recipe's files: pinned by size and checksum."""

    ident: str  # "publisher:name:flavour" in the catalogue; of an Offspot recipe's file "files[3]"
    title: str
    language: str  # ISO 639-3, several joined by commas
    file: str  # name on the card, ends in .zim; of an Offspot recipe's file its path, begins with /data/
    url: str  # http(s) address of the file itself
    mirrors: tuple[str, ...]  # other addresses of the same bytes, best first
    size_bytes: int
    sha256: str
    metalink: str | None = None  # address of the file's metalink, which may tell the checksums of its pieces
    via: str = DIRECT  # as it is, or a kind of archive (tar, gztar, bztar, xztar, zip) that is unpacked
    unpacked_bytes: int | None = None  # of an archive: what is in it, at most

    @property
    def card_bytes(self) -> int:
        """What it has on the card, at most."""
        return self.size_bytes if self.unpacked_bytes is None else self.unpacked_bytes


@dataclass(frozen=True)
class BaseReference:
    """The base image that the card is built from."""

    name: str
    sha256: str


@dataclass(frozen=True)
class CreateTask:
    """Build one image from a resolved recipe and upload it to the warehouse."""

    task_id: str  # also the Celery id and the id in the database
    attempt: int  # from 1; a retry is a new attempt of the same task
    order_id: str
    image_digest: str  # 64 hex digits: digest of the resolved recipe
    size_bytes: int  # of the image
    base: BaseReference
    contents: tuple[Content, ...]
    version: int = TASK_VERSION

    def to_wire(self) -> dict[str, Any]:
        """The message's JSON object."""
        return _object(self)

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Reads a message. Raises MessageRejected."""
        return _versioned(cls, data)


@dataclass(frozen=True)
class WriteTask:
    """Write one image onto one card and prove it by reading it back."""

    task_id: str
    attempt: int
    order_id: str
    unit: int  # which card of the order, from 1
    units: int  # how many cards the order has
    image_digest: str
    size_bytes: int  # of the image; the card must hold at least this
    medium: str  # name of the medium ordered, e.g. "8 GB"
    version: int = TASK_VERSION

    def to_wire(self) -> dict[str, Any]:
        """The message's JSON object."""
        return _object(self)

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Reads a message. Raises MessageRejected."""
        return _versioned(cls, data)


@dataclass(frozen=True)
class WarehouseAccess:
    """Where the image goes to or comes from, and the token that names it."""

    host: str
    port: int
    token: str
    expires_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Claim:
    """The scheduler's answer to ``POST /v1/tasks/{id}/claims``: this worker has the task now.

    ``claim`` counts the claims of the attempt; events of an older claim are refused from here on.
    """

    task_id: str
    attempt: int
    claim: int
    warehouse: WarehouseAccess
    card_configuration: dict[str, Any] | None = None  # create tasks only; holds the recipe's secrets
    passport: Signed | None = None  # write tasks only; goes onto the card
    version: int = TASK_VERSION

    def to_wire(self) -> dict[str, Any]:
        """The answer's JSON object."""
        return _object(self)

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Reads the answer. Raises MessageRejected."""
        return _versioned(cls, data)


def _object(message: Any) -> dict[str, Any]:
    data: dict[str, Any] = wire.to_wire(message)
    return data


def _versioned(cls: type[T], data: Mapping[str, Any]) -> T:
    if data.get("version") != TASK_VERSION:
        raise MessageRejected(
            f"The message has version {data.get('version')!r}; this program reads version {TASK_VERSION}.",
            hint="Update the service that reads it.",
            field="version",
        )
    return wire.from_wire(cls, data)
