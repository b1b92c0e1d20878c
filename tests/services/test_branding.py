"""A recipe's branding over the API and on the manager's page, up to what the creator gets of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scheduler.domain.rights import Role
from tests.api import a_recipe, an_order, new_api, published_library, read_catalogue
from tests.api_calls import World
from tests.manager_pages import Visitor, manager_of
from tests.pictures import a_picture, sent
from tests.real_services import RealMongod

NONE = {"logo": None, "favicon": None, "main_colour": None, "background_colour": None}


@pytest.fixture(scope="module")
def world(mongod: RealMongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = new_api(mongod.uri)
    with published_library(tmp_path_factory.mktemp("library")) as library:
        yield World(api, "local", read_catalogue(api, library.feed_url)[0])


def branded(world: World, **branding: Any) -> dict[str, Any]:
    """A recipe of the shop with this branding."""
    made: dict[str, Any] = world.api.post("/v1/recipes", a_recipe([world.content], branding=branding))
    return made


def kept_picture(world: World, name: str) -> Image.Image:
    told = world.api.get(f"/v1/pictures/{name}")
    return Image.open(io.BytesIO(base64.b64decode(told["data"])))


def test_a_logo_is_kept_as_a_small_png_and_told_by_its_name(world: World) -> None:
    recipe = branded(world, logo={"data": sent(a_picture("JPEG", (1200, 400)))}, main_colour="#a80030")

    picture = kept_picture(world, recipe["branding"]["logo"]["sha256"])
    assert (picture.format, picture.size) == ("PNG", (576, 192))
    assert recipe["branding"] == NONE | {"logo": recipe["branding"]["logo"], "main_colour": "#a80030"}


def test_branding_as_it_is_told_can_be_given_again(world: World) -> None:
    first = branded(world, favicon={"data": sent(a_picture())}, background_colour="#ffffee")

    second = branded(world, **first["branding"])

    assert second["branding"] == first["branding"]


def test_branding_stays_when_a_change_does_not_speak_of_it_and_goes_when_it_is_null(world: World) -> None:
    recipe = branded(world, main_colour="#a80030")
    path, body = f"/v1/recipes/{recipe['id']}", a_recipe([world.content])

    assert world.api.call("PUT", path, body).body["branding"]["main_colour"] == "#a80030"
    assert world.api.call("PUT", path, {**body, "branding": None}).body["branding"] is None


def test_branding_that_says_nothing_is_none(world: World) -> None:
    assert branded(world, **NONE)["branding"] is None


@pytest.mark.parametrize(
    ("branding", "field"),
    [
        ({"logo": {"data": sent(b"no picture")}}, "branding.logo"),
        ({"favicon": {"data": sent(b"x" * (1024 * 1024 + 1))}}, "branding.favicon"),
        ({"favicon": {"sha256": "0" * 64}}, "branding.favicon"),
        ({"logo": {}}, "branding.logo"),
        ({"main_colour": "red"}, "branding.main_colour"),
    ],
)
def test_branding_that_is_wrong_is_told_with_its_field(
    world: World, branding: dict[str, Any], field: str
) -> None:
    recipe = a_recipe([world.content], branding=branding)

    kept = world.api.call("POST", "/v1/recipes", recipe)
    ordered = world.api.call("POST", "/v1/orders", an_order(recipe=recipe))

    assert (kept.status, kept.body["field"]) == (422, field), kept
    assert (ordered.status, ordered.body["field"]) == (422, f"recipe.{field}"), ordered


def test_the_creator_gets_the_pictures_that_the_recipe_had_when_it_was_ordered(world: World) -> None:
    recipe = branded(world, logo={"data": sent(a_picture(colour="#123456"))}, main_colour="#a80030")
    store = world.api.store
    store.users.add("builder", Role.CREATOR, "no password")
    store.workers.seen("builder", Role.CREATOR, "builder@desk", online=True)

    order = world.api.post("/v1/orders", an_order(recipe_id=recipe["id"]))
    world.api.call("DELETE", f"/v1/recipes/{recipe['id']}")
    task = next(task for task in order["tasks"] if task["kind"] == "create")
    claimed = world.api.post(f"/v1/tasks/{task['id']}/claims", {"attempt": 1}, who="creator")

    branding = claimed["card_configuration"]["branding"]
    picture = Image.open(io.BytesIO(base64.b64decode(branding["logo"])))
    assert picture.convert("RGB").getpixel((0, 0)) == (0x12, 0x34, 0x56)
    assert branding["main_colour"] == "#a80030"


def test_a_recipe_without_branding_gives_the_creator_none(world: World) -> None:
    order = world.api.post("/v1/orders", an_order(recipe=a_recipe([world.content], ssid="Plain")))
    task = next(task for task in order["tasks"] if task["kind"] == "create")

    claimed = world.api.post(f"/v1/tasks/{task['id']}/claims", {"attempt": 1}, who="creator")

    assert "branding" not in claimed["card_configuration"]


def test_the_form_of_a_recipe_keeps_shows_and_takes_away_its_branding(world: World, tmp_path: Path) -> None:
    recipe = branded(world)
    form = {
        "name": "Branded", "hostname": "kiwix", "domain": "hotspot", "ssid": "School", "language": "en",
        "timezone": "UTC", "base": "cardshop-amd64", "size": "auto", "contents": world.content,
        "wifi": "open",
    }  # fmt: skip
    path = f"/recipes/{recipe['id']}"
    with manager_of(world.api, tmp_path) as client:
        visitor = Visitor(client, "admin")

        def save(**more: Any) -> str:
            page = visitor.get(path)
            token = page.root.one("form", id="recipe").one("input", name="csrf_token").attributes["value"]
            answer = client.post(path, data={**form, **more, "csrf_token": token}, follow_redirects=True)
            return answer.text

        logo = (io.BytesIO(a_picture(size=(40, 20))), "logo.png")
        saved = save(logo=logo, own_colours="yes", main_colour="#a80030", background_colour="#ffffff")
        kept = world.api.get(f"/v1/recipes/{recipe['id']}")["branding"]
        shown = client.get(f"/recipes/pictures/{kept['logo']['sha256']}")
        again = save()
        kept_again = world.api.get(f"/v1/recipes/{recipe['id']}")["branding"]
        refused = save(logo=(io.BytesIO(b"no picture"), "logo.png"))
        save(drop_logo="yes")
        gone = world.api.get(f"/v1/recipes/{recipe['id']}")["branding"]

    assert "The recipe Branded is saved." in saved
    assert kept["logo"]["sha256"] in saved
    assert kept["main_colour"] == "#a80030"
    assert Image.open(io.BytesIO(shown.data)).size == (40, 20)
    assert "The recipe Branded is saved." in again
    assert kept_again == NONE | {"logo": kept["logo"]}
    assert 'id="logo-wrong"' in refused
    assert gone is None
