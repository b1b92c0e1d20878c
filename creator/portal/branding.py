"""The recipe's branding as it comes with the card's configuration; it stays out of the boot partition."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cardshop.contract.errors import MessageRejected

FIELD = "branding"
"""Of the card's configuration."""

LARGEST_BYTES = 512 * 1024
"""Of a picture: with both, the portal takes no more than the forecast of the fit counts."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Branding:
    """How the portal looks; None: as every portal."""

    logo: bytes | None = None  # PNG
    favicon: bytes | None = None  # PNG
    main_colour: str | None = None  # "#rrggbb"
    background_colour: str | None = None  # "#rrggbb"

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Self:
        """The branding in a card's configuration.

        Raises:
            MessageRejected: something in it is neither a picture nor a colour.
        """
        wire = configuration.get(FIELD) or {}
        return cls(
            logo=_picture(wire, "logo"),
            favicon=_picture(wire, "favicon"),
            main_colour=_colour(wire, "main_colour"),
            background_colour=_colour(wire, "background_colour"),
        )


def _picture(wire: Mapping[str, Any], name: str) -> bytes | None:
    encoded = wire.get(name)
    if encoded is None:
        return None
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        data = b""
    if not data.startswith(_PNG) or len(data) > LARGEST_BYTES:
        raise MessageRejected(f"The branding's {name} is no small PNG.", field=f"{FIELD}.{name}")
    return data


def _colour(wire: Mapping[str, Any], name: str) -> str | None:
    colour = wire.get(name)
    if colour is not None and not (isinstance(colour, str) and _COLOUR.fullmatch(colour)):
        raise MessageRejected(f"The branding's {name} is no colour.", field=f"{FIELD}.{name}")
    return colour
