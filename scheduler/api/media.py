"""Media: kinds of cards."""

from __future__ import annotations

from pydantic import Field

from cardshop.contract.errors import InvalidInput
from cardshop.fit import LARGEST_IMAGE_BYTES
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Name, Told
from scheduler.domain import media as rules
from scheduler.domain.recipes import AUTO_SIZE
from scheduler.domain.rights import Right


class GivenMedium(Given):
    """A kind of card to add; without a size, the one that every card of this label has."""

    name: Name
    nominal_gb: int = Field(strict=True, ge=1, le=2000, description="as printed on the card, 10^9 bytes")
    size_bytes: int | None = Field(default=None, strict=True, gt=0, le=LARGEST_IMAGE_BYTES)


class Medium(Told):
    """A kind of card."""

    name: str
    nominal_gb: int
    size_bytes: int  # of an image for it, and the least that a card must have

    @classmethod
    def of(cls, medium: rules.Medium) -> Medium:
        """The medium as told."""
        return cls(name=medium.name, nominal_gb=medium.nominal_gb, size_bytes=medium.size_bytes)


class MediumList(Resource):
    """``/v1/media``."""

    @operation("List the kinds of cards, smallest first", Right.READ_MEDIA, answer=Listed[Medium])
    def get(self) -> Listed[Medium]:
        """Every medium."""
        media = [Medium.of(medium) for medium in self.services.store.media.every()]
        return Listed[Medium](items=media, total=len(media))

    @operation("Add a kind of card", Right.MANAGE_MEDIA, body=GivenMedium, answer=Medium, status=201)
    def post(self, body: GivenMedium) -> Medium:
        """The medium, under a new name."""
        size = body.size_bytes or rules.size_of(body.nominal_gb)
        if body.name == AUTO_SIZE:
            raise InvalidInput(f"{AUTO_SIZE} is no name for a medium.", field="name")
        if size % rules.SIZE_STEP:
            raise InvalidInput(f"A size is a multiple of {rules.SIZE_STEP} bytes.", field="size_bytes")
        medium = rules.Medium(body.name, body.nominal_gb, size)
        self.services.store.media.add(medium)
        return Medium.of(medium)
