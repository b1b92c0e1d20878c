"""A ZIM file that is larger than 32 bits count, by libzim (make test-boot: it takes 17 GB of disk)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from libzim.reader import Archive

from cardshop.contract.tasks import Content
from cardshop.fit import MIB, layout
from cardshop.programs import run
from creator.build import build
from tests.image_plans import make_places, make_plan
from tests.tiny_base import ROOT_BYTES
from tests.zims import make_zim

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

GIB = 1024 * MIB
IMAGE_BYTES = 6 * GIB
FILM_BYTES = 4 * GIB + 300 * MIB


def make_film(file: Path, size: int) -> Path:
    """Bytes that nothing makes shorter, other at each place."""
    stuffing = bytearray(os.urandom(16 * MIB))
    with file.open("wb") as stream:
        for number in range(-(-size // len(stuffing))):
            stuffing[:8] = number.to_bytes(8, "big")
            stream.write(stuffing)
        stream.truncate(size)
    return file


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def test_a_zim_of_more_than_five_gib_is_whole_on_the_card(tmp_path: Path) -> None:
    """One of its items alone has more bytes than 32 bits can count."""
    films = {
        "one": make_film(tmp_path / "one", FILM_BYTES),
        "two": make_film(tmp_path / "two", 800 * MIB),
    }
    zim = tmp_path / "films.zim"
    make_zim(zim, "Films", files=films)
    for file in films.values():
        file.unlink()
    size, sha256 = zim.stat().st_size, sha256_of(zim)
    assert size > 5 * GIB
    places = make_places(tmp_path)
    places.cache.mkdir()
    zim.rename(places.cache / sha256)
    content = Content(
        "cardshop:films:", "Films", "eng", "films.zim", "http://mirror.invalid/films.zim", (), size, sha256
    )

    built = build(make_plan(places, content, size_bytes=IMAGE_BYTES), places, lambda *_: None)

    (places.cache / sha256).unlink()
    data = f"{built.image}?offset={layout(IMAGE_BYTES, ROOT_BYTES).data_offset}"
    run(["debugfs", "-R", f"dump /contents/films.zim {zim}", data], timeout=600)
    built.image.unlink()
    assert sha256_of(zim) == sha256
    assert Archive(zim).get_entry_by_path("one").get_item().size == FILM_BYTES
    zim.unlink()
