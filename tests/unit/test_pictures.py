"""Pictures that people send: what is taken becomes a small PNG, what isn't is named."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from cardshop.contract.errors import InvalidInput
from scheduler.pictures import LARGEST_BYTES, PictureUse, png_of
from tests.pictures import a_picture, sent


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png), formats=["PNG"])


def png_that_says(width: int, height: int) -> bytes:
    """A small file with the head of a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100_000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_of_each_kind_becomes_a_png_that_has_its_place(kind: str) -> None:
    made = opened(png_of(sent(a_picture(kind, (3000, 1000))), PictureUse.LOGO, "branding.logo"))

    assert (made.width, made.height) == (576, 192)
    assert made.convert("RGB").getpixel((5, 5)) == pytest.approx((0xA8, 0, 0x30), abs=6)


def test_a_small_picture_is_not_made_larger() -> None:
    made = opened(png_of(sent(a_picture(size=(20, 10))), PictureUse.FAVICON, "branding.favicon"))

    assert (made.width, made.height) == (20, 10)


def test_the_largest_that_is_kept_stays_below_the_room_on_a_card() -> None:
    noise = Image.effect_noise((1000, 1000), 90).convert("RGB")
    kept = 0
    for use in PictureUse:
        file = io.BytesIO()
        noise.save(file, "JPEG", quality=60)
        kept += len(png_of(sent(file.getvalue()), use, "x"))

    assert kept < 700 * 1024


def test_what_a_file_tells_beside_its_picture_is_not_kept() -> None:
    file = io.BytesIO()
    picture = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    picture.save(file, "JPEG", exif=exif, comment=b"secret words", icc_profile=b"a profile")

    made = png_of(sent(file.getvalue()), PictureUse.LOGO, "x")

    for told in (b"taken at home", b"secret words", b"a profile", b"eXIf", b"iCCP", b"tEXt"):
        assert told not in made


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        a_picture()[:-30],
        a_picture("BMP"),
        b"x" * 5000,
        b"x" * (LARGEST_BYTES + 1),
        png_that_says(100_000, 100_000),
        png_that_says(60_000, 1_000),
    ],
    ids=["nothing", "svg", "head", "cut", "bmp", "text", "large", "bomb", "bomb below Pillow's own limit"],
)
def test_what_is_no_picture_or_too_much_of_one_is_refused_by_its_field(data: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        png_of(sent(data), PictureUse.FAVICON, "branding.favicon")

    assert refused.value.field == "branding.favicon"


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        png_of("not base64 at all!", PictureUse.LOGO, "branding.logo")

    assert refused.value.field == "branding.logo"
