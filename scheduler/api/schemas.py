"""What the API's documents share: strict reading, dates in UTC, pages."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from scheduler.domain.dispatching import Priority

T = TypeVar("T")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
"""A date and time, written as ISO 8601 in UTC with a Z."""

Username = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", examples=["ada"])]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Given(BaseModel):
    """A document that came in: a field that nobody knows is an error, a text is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """A document that goes out."""

    model_config = ConfigDict(frozen=True)


class Listed(Told, Generic[T]):
    """A list, or one page of it."""

    items: list[T]
    total: int  # of all pages


class Paged(Given):
    """Which page of a list."""

    page: int = Field(default=1, ge=1, le=100_000)
    per_page: int = Field(default=50, ge=1, le=1000)

    @property
    def skip(self) -> int:
        """Items before the page."""
        return (self.page - 1) * self.per_page


class PriorityName(StrEnum):
    """How urgent an order is, as it is written."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"

    @classmethod
    def of(cls, priority: Priority) -> PriorityName:
        """The name of a priority."""
        return cls(priority.label)

    @property
    def priority(self) -> Priority:
        """What it names."""
        return Priority[self.name]


class Signature(Told):
    """Says that this shop made an image or wrote a card; what the statement tells: docs/passports.md."""

    key: str  # id of the public key
    statement: str  # the very text that is signed, UTF-8
    signature: str  # base64, Ed25519
