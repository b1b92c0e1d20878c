"""What is signed of a card: short on the card itself, whole at the scheduler and on the card's label.

Both are statements of lines: the first says what it is and its version, each other has a name and a value.
A value that comes from a worker or a card is percent-encoded, so that it can't pass for a line of its own.
Whoever has the scheduler's public keys checks one offline, with OpenSSL if nothing else is there.
"""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected

_NUMBER = re.compile(r"[0-9]{1,20}")

_READABLE = " :+,@/"
"""Characters that stay as they are beside letters, digits and ``_.-~``."""


@dataclass(frozen=True)
class Signed:
    """A statement with its signature."""

    key: str  # id of the public key
    statement: str  # the very text that is signed, UTF-8
    signature: str  # base64 of the 64 bytes of an Ed25519 signature

    def to_text(self) -> str:
        """One line of JSON: what the passport's file on a card and a label's QR code hold."""
        return json.dumps(wire.to_wire(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads what :meth:`to_text` wrote. Raises MessageRejected."""
        try:
            data = wire.parse(text)
        except ValueError:
            raise MessageRejected("The passport is no JSON document.") from None
        return wire.from_wire(cls, data)


@dataclass(frozen=True)
class ImageStatement:
    """This shop made the image."""

    KIND: ClassVar[str] = "cardshop image 1"

    digest: str  # names the image
    manifest_sha256: str  # of its manifest

    def to_statement(self) -> str:
        """The text; its values have no names."""
        return f"{self.KIND}\n{self.digest}\n{self.manifest_sha256}\n"


@dataclass(frozen=True)
class CardStatement:
    """The short form, on the card: for which order this image was to be written. Signed at the claim."""

    KIND: ClassVar[str] = "cardshop card 1"

    order: int  # its number
    unit: int  # which card of the order, from 1
    units: int
    task: str
    attempt: int  # of the task: of two cards written for one place in the order, the last counts
    image: str  # digest that names it
    manifest: str  # SHA-256 of the image's manifest

    def to_statement(self) -> str:
        """The text."""
        return _to_lines(self.KIND, self)

    @classmethod
    def from_statement(cls, statement: str) -> Self:
        """Reads the text. Raises MessageRejected."""
        return _from_lines(cls, cls.KIND, statement)


@dataclass(frozen=True)
class Passport:
    """The whole passport of a verified card. Signed when it is asked for, from what the scheduler keeps.

    Speeds are bytes a second, of parts of about 16 MiB; 0 where nothing was measured.
    """

    KIND: ClassVar[str] = "cardshop passport 1"

    order: int
    unit: int
    units: int
    task: str
    attempt: int
    image: str
    manifest: str
    serial: str  # of the card
    size: int  # of the card, bytes
    verified: int  # bytes that were read back and were right
    at: str  # when the scheduler learned it, ISO 8601, UTC
    slot: str
    writer: str  # its account
    host: str  # where the writer runs
    write_median: int
    write_worst: int
    read_median: int
    read_worst: int
    retries: int  # requests that went through only in smaller pieces

    def to_statement(self) -> str:
        """The text."""
        return _to_lines(self.KIND, self)

    @classmethod
    def from_statement(cls, statement: str) -> Self:
        """Reads the text. Raises MessageRejected."""
        return _from_lines(cls, cls.KIND, statement)


T = TypeVar("T", bound=CardStatement | Passport)


def _to_lines(kind: str, facts: CardStatement | Passport) -> str:
    values = ((field.name, getattr(facts, field.name)) for field in dataclasses.fields(facts))
    lines = (f"{name} {urllib.parse.quote(str(value), safe=_READABLE)}\n" for name, value in values)
    return f"{kind}\n{''.join(lines)}"


def _from_lines(cls: type[T], kind: str, statement: str) -> T:
    first, *lines = statement.split("\n")
    if first != kind:
        raise MessageRejected(f"The statement is none of the kind {kind!r}.")
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    values: dict[str, int | str] = {}
    for field in dataclasses.fields(cls):
        value = urllib.parse.unquote(told.get(field.name, ""))
        number = field.type == "int"
        if field.name not in told or (number and not _NUMBER.fullmatch(value)):
            raise MessageRejected(f"The statement's line {field.name} is missing or wrong.", field=field.name)
        values[field.name] = int(value) if number else value
    return cls(**values)  # type: ignore[arg-type]  # each value has the type of its field
