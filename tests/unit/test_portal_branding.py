"""The portal with a recipe's branding: its pictures, and colours that can be read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import Phase
from cardshop.fit import BOOT_OFFSET, layout
from cardshop.programs import run
from creator.build import build
from creator.portal.colours import DARK, LIGHT, READABLE, contrast, style_of, text_on
from creator.portal.page import make_portal
from tests.image_plans import IMAGE_BYTES, make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.pictures import a_picture, sent
from tests.tiny_base import ROOT_BYTES
from tests.zims import make_zim

LOGO, FAVICON = a_picture(size=(60, 20)), a_picture(size=(32, 32), colour="#00aa00")
GREYS = [f"#{level:02x}{level:02x}{level:02x}" for level in range(0, 256, 5)]
BRANDED = {"branding": {"logo": sent(LOGO), "main_colour": "#a80030"}}
COLOURS = [*GREYS, "#ff0000", "#00ff00", "#0000ff", "#ffff00", "#1f5f8b", "#767676"]


def portal(**branding: Any) -> dict[str, bytes]:
    return make_portal({"ssid": "School", "language": "en", "branding": branding}, [])


def test_logo_and_favicon_are_shown_and_lie_beside_the_page() -> None:
    files = portal(logo=sent(LOGO), favicon=sent(FAVICON))

    names = {content: name for name, content in files.items()}
    page = files["index.html"].decode()
    assert f'<img src="/portal/{names[LOGO]}" alt="">' in page
    assert f'<link rel="icon" href="/portal/{names[FAVICON]}">' in page
    assert f'<img src="/portal/{names[LOGO]}" alt="">' in files["starting.html"].decode()


def test_without_branding_the_portal_is_as_every_portal() -> None:
    without = make_portal({"ssid": "School", "language": "en"}, [])

    assert portal() == without
    assert "<img" not in without["index.html"].decode()


def test_the_colours_take_the_place_of_the_portals_own() -> None:
    style = portal(main_colour="#ffd100", background_colour="#101010")["portal.css"].decode()

    last = style.rindex(":root")
    assert "--accent: #ffd100; --on-accent: #1c2329" in style[last:]
    assert "--ground: #101010; --text: #ffffff" in style[last:]


@pytest.mark.parametrize("ground", COLOURS)
def test_a_text_can_be_read_on_any_colour(ground: str) -> None:
    assert contrast(text_on(ground), ground) >= READABLE


@pytest.mark.parametrize("background", COLOURS)
@pytest.mark.parametrize("main", ["#1f5f8b", "#ffff00", "#777777"])
def test_links_can_be_read_on_the_background(main: str, background: str) -> None:
    style = style_of(main, background)

    link = style.partition("--link: ")[2][:7]
    assert contrast(link, background) >= READABLE


def test_contrast_is_as_the_guidelines_reckon_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast(DARK, LIGHT) == contrast(LIGHT, DARK)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logo", "not base64!"),
        ("logo", sent(a_picture("JPEG"))),
        ("favicon", sent(b"\x89PNG\r\n\x1a\n" + b"x" * 600_000)),
        ("main_colour", "red;} body{display:none"),
        ("background_colour", 7),
    ],
)
def test_branding_that_is_wrong_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(MessageRejected) as refused:
        portal(**{field: value})

    assert refused.value.field == f"branding.{field}"


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    """Progress that nobody looks at."""


def test_the_portal_is_in_the_image_with_its_branding_which_stays_off_the_boot_partition(
    tmp_path: Path,
) -> None:
    places = make_places(tmp_path)
    with serve_mirror() as mirror:
        zim = make_zim(tmp_path / "Bibliothèque d'été.zim")
        plan = make_plan(places, make_content(mirror, zim.name, zim.read_bytes()))
        built = build(replace(plan, card_configuration=plan.card_configuration | BRANDED), places, unseen)

    parts = layout(IMAGE_BYTES, ROOT_BYTES)

    def on_card(name: str) -> bytes:
        system = f"{built.image}?offset={parts.data_offset}"
        return run(["debugfs", "-R", f"cat /portal/{name}", system], timeout=120).stdout

    page = on_card("index.html").decode()
    assert 'href="/bibliotheque_d%27ete/"' in page
    (source,) = re.findall(r'<header><img src="/portal/([^"]+)"', page)
    assert on_card(source) == LOGO
    assert b"#a80030" in on_card("portal.css")
    recipe = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/cardshop/recipe.json"], timeout=120)
    assert json.loads(recipe.stdout) == plan.card_configuration
