"""Branding: how the portal of a card looks; its pictures are named by their bytes, the shop keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cardshop.contract.errors import InvalidInput

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Branding:
    """What a recipe says of the portal's looks; None: as every portal."""

    logo: str | None = None  # SHA-256 of a PNG
    favicon: str | None = None  # SHA-256 of a PNG, square
    main_colour: str | None = None  # "#rrggbb", of the page's head and of buttons
    background_colour: str | None = None  # "#rrggbb"

    @property
    def says_nothing(self) -> bool:
        """The same as having none."""
        return self == Branding()


def check_branding(branding: Branding) -> None:
    """Raises InvalidInput: a colour is none; ``field`` names it."""
    for field in ("main_colour", "background_colour"):
        colour = getattr(branding, field)
        if colour is not None and not _COLOUR.fullmatch(colour):
            raise InvalidInput(
                f"{colour!r} is no colour.",
                hint="Six hexadecimal digits: #1f5f8b.",
                field=f"branding.{field}",
            )


def on_the_card(branding: Branding, picture: Callable[[str], str]) -> dict[str, Any]:
    """The branding as it stands in the card's configuration.

    Args:
        branding: of the recipe.
        picture: a kept picture's bytes in base64, by its SHA-256.
    """
    return {
        "logo": picture(branding.logo) if branding.logo else None,
        "favicon": picture(branding.favicon) if branding.favicon else None,
        "main_colour": branding.main_colour,
        "background_colour": branding.background_colour,
    }
