"""Branding of recipes: what comes in and goes out, and the pictures that the shop keeps for it."""

from __future__ import annotations

import base64

from pydantic import Field

from cardshop.contract.errors import InvalidInput
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Told
from scheduler.api.services import Services
from scheduler.domain.branding import Branding
from scheduler.domain.rights import Right
from scheduler.pictures import PictureUse, png_of

COLOUR = "six hexadecimal digits: #1f5f8b; null: as every portal"


class GivenPicture(Given):
    """A picture: its bytes, or the name of one that the shop keeps already."""

    data: str | None = Field(
        default=None,
        description="base64 of a PNG, JPEG, WebP or GIF of at most 1 MiB; it is made small and becomes a PNG",
    )
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class GivenBranding(Given):
    """How the portal of the card looks."""

    logo: GivenPicture | None = None
    favicon: GivenPicture | None = None
    main_colour: str | None = Field(default=None, description=COLOUR, examples=["#1f5f8b"])
    background_colour: str | None = Field(default=None, description=COLOUR, examples=["#ffffff"])


class ToldPicture(Told):
    """A kept picture, by its name: see ``/v1/pictures/{sha256}``."""

    sha256: str


class ToldBranding(Told):
    """How the portal looks; as it is told it can be given again."""

    logo: ToldPicture | None
    favicon: ToldPicture | None
    main_colour: str | None
    background_colour: str | None

    @classmethod
    def of(cls, branding: Branding) -> ToldBranding:
        """What is told of it."""
        return cls(
            logo=ToldPicture(sha256=branding.logo) if branding.logo else None,
            favicon=ToldPicture(sha256=branding.favicon) if branding.favicon else None,
            main_colour=branding.main_colour,
            background_colour=branding.background_colour,
        )


class Picture(Told):
    """A picture's bytes."""

    sha256: str
    data: str = Field(description="base64 of a PNG")


class PictureItem(Resource):
    """``/v1/pictures/{sha256}``."""

    @operation("Show a picture of a recipe's branding", Right.EDIT_RECIPES, answer=Picture)
    def get(self, sha256: str) -> Picture:
        """Whoever knows its name has seen a recipe that shows it."""
        png = self.services.store.pictures.get(sha256)
        return Picture(sha256=sha256, data=base64.b64encode(png).decode())


def kept_branding(services: Services, given: GivenBranding | None) -> Branding | None:
    """The branding that was given, its pictures kept; None when it says nothing.

    Raises:
        InvalidInput: a picture can't be read, or is not kept; ``field`` names it.
    """
    if given is None:
        return None
    branding = Branding(
        logo=_kept(services, given.logo, PictureUse.LOGO),
        favicon=_kept(services, given.favicon, PictureUse.FAVICON),
        main_colour=given.main_colour,
        background_colour=given.background_colour,
    )
    return None if branding.says_nothing else branding


def _kept(services: Services, given: GivenPicture | None, use: PictureUse) -> str | None:
    field = f"branding.{use.name.lower()}"
    if given is None:
        return None
    if given.data is not None:
        return services.store.pictures.keep(png_of(given.data, use, field))
    if given.sha256 is None:
        raise InvalidInput("A picture is given by its data, or by the name of a kept one.", field=field)
    if not services.store.pictures.is_kept(given.sha256):
        raise InvalidInput("The shop keeps no such picture.", hint="Send its data.", field=field)
    return given.sha256
