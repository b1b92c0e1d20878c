"""Factory of pictures as people send them."""

from __future__ import annotations

import base64
import io

from PIL import Image


def a_picture(kind: str = "PNG", size: tuple[int, int] = (64, 64), colour: str = "#a80030") -> bytes:
    """A picture of one colour, as a file's bytes."""
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, kind)
    return made.getvalue()


def sent(picture: bytes) -> str:
    """As it stands in a request."""
    return base64.b64encode(picture).decode()
