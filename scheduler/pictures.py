"""Pictures that people send: read with care, made small, kept as PNG and named by their bytes."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from enum import Enum

from PIL import Image, ImageOps

from cardshop.contract.errors import InvalidInput

LARGEST_BYTES = 1024 * 1024
"""Of a picture as it is sent."""

LARGEST_PIXELS = 16_000_000
"""Of a picture as it is sent: a small file can say that it has thousands of millions."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""No SVG: it can hold scripts."""

_HINT = "Send a PNG, JPEG, WebP or GIF of at most 1 MiB."


@dataclass(frozen=True)
class Room:
    """The largest that a kept picture is, in pixels."""

    width: int
    height: int


class PictureUse(Enum):
    """What a picture is for. Uncompressed, both together stay below what an image keeps free for them."""

    LOGO = Room(640, 192)
    FAVICON = Room(192, 192)


def png_of(encoded: str, use: PictureUse, field: str) -> bytes:
    """The picture as PNG, no larger than its use has room for, without anything else that the file told.

    Args:
        encoded: the file's bytes in base64.
        use: what it is for.
        field: named in errors.

    Raises:
        InvalidInput: it is no picture, or too large.
    """
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("The picture's bytes are not in base64.", field=field) from None
    if len(data) > LARGEST_BYTES:
        raise InvalidInput(
            f"The picture has {len(data):,} bytes; at most {LARGEST_BYTES:,} are taken.",
            hint=_HINT,
            field=field,
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:  # known from its head, before it is unpacked
                raise InvalidInput(
                    f"The picture has {picture.width} x {picture.height} pixels; that is too many.",
                    hint=f"At most {LARGEST_PIXELS:,} in all.",
                    field=field,
                )
            return _made_small(picture, use.value)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise InvalidInput("The file is no picture that can be read.", hint=_HINT, field=field) from None


def _made_small(picture: Image.Image, room: Room) -> bytes:
    upright = ImageOps.exif_transpose(picture).convert("RGBA")
    upright.thumbnail((room.width, room.height), Image.Resampling.LANCZOS)
    upright.info.clear()  # PNG would carry a colour profile and a comment along
    made = io.BytesIO()
    upright.save(made, "PNG", optimize=True)
    return made.getvalue()
