"""The portal's picture of a content: the ZIM file's own, else its catalogue's, else a letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.contract.events import Phase
from cardshop.fit import layout
from cardshop.image_format import PNG
from cardshop.programs import run
from creator.books import ILLUSTRATION_LIMIT
from creator.build import build
from tests.image_plans import IMAGE_BYTES, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import ROOT_BYTES
from tests.zims import illustration, make_zim

DATA_OFFSET = layout(IMAGE_BYTES, ROOT_BYTES).data_offset
LISTED = illustration(40)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


def pictures(tmp_path: Path, mirror: Mirror, *, illustrated: bool, listed: bytes | None) -> list[bytes]:
    """The contents' pictures on the portal of a card with one ZIM file, which its catalogue lists so."""
    zim = make_zim(tmp_path / "guide.zim", "A guide", illustrated=illustrated)
    if listed is not None:
        mirror.files["guide.png"] = listed
    content = make_content(mirror, "guide.zim", zim.read_bytes(), illustration=mirror.url("guide.png"))
    places = make_places(tmp_path)
    built = build(make_plan(places, content), places, unseen)
    run(["debugfs", "-R", f"rdump /portal {tmp_path}", f"{built.image}?offset={DATA_OFFSET}"], timeout=60)
    page = (tmp_path / "portal" / "index.html").read_text()
    return [(tmp_path / name[1:]).read_bytes() for name in re.findall(r'<img src="([^"]+)"', page)]


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def test_a_zim_file_without_a_picture_gets_its_catalogues(tmp_path: Path, mirror: Mirror) -> None:
    assert pictures(tmp_path, mirror, illustrated=False, listed=LISTED) == [LISTED]


def test_a_zim_files_own_picture_comes_first_and_the_catalogue_is_not_asked(
    tmp_path: Path, mirror: Mirror
) -> None:
    assert pictures(tmp_path, mirror, illustrated=True, listed=LISTED) == [illustration(48)]
    assert "guide.png" not in {name for name, _ in mirror.asked}


@pytest.mark.parametrize(
    "listed", [None, b"<svg/>", PNG + bytes(ILLUSTRATION_LIMIT)], ids=["none", "no PNG", "too large"]
)
def test_a_picture_that_can_not_be_had_or_shown_is_a_letter(
    tmp_path: Path, mirror: Mirror, listed: bytes | None
) -> None:
    assert pictures(tmp_path, mirror, illustrated=False, listed=listed) == []
