"""Placing an order over the API: each fault is told with the field that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api import a_recipe, an_order, new_api, published_library, read_catalogue
from tests.api_calls import World
from tests.real_services import RealMongod


@pytest.fixture(scope="module")
def world(mongod: RealMongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = new_api(mongod.uri)
    with published_library(tmp_path_factory.mktemp("library")) as library:
        yield World(api, "local", read_catalogue(api, library.feed_url)[0])


@pytest.mark.parametrize(
    ("field", "in_recipe", "in_order"),
    [
        ("recipe.contents[1]", {"contents": ["nowhere:faq:"]}, {}),
        ("recipe.base", {"base": "no-such-base"}, {}),
        ("recipe.size", {"size": "7 TB"}, {}),
        ("recipe.name", {"name": ""}, {}),
        ("medium", {}, {"medium": "7 TB"}),
    ],
)
def test_what_the_shop_does_not_have_is_told_with_its_field(
    world: World, field: str, in_recipe: dict[str, Any], in_order: dict[str, Any]
) -> None:
    contents = [world.content, *in_recipe.pop("contents", [])]
    recipe = a_recipe(contents, **in_recipe)

    answer = world.api.call("POST", "/v1/orders", an_order(recipe=recipe, **in_order))

    assert (answer.status, answer.body["field"]) == (422, field), answer
    assert world.api.get("/v1/orders")["total"] == 0


def test_a_recipe_that_names_what_the_shop_does_not_have_is_not_kept(world: World) -> None:
    answer = world.api.call("POST", "/v1/recipes", a_recipe([world.content, "nowhere:faq:"]))

    assert (answer.status, answer.body["field"]) == (422, "contents[1]"), answer


def test_where_an_order_stands_is_told_to_who_asks_and_not_when_it_is_placed(world: World) -> None:
    placed = world.api.post("/v1/orders", an_order(recipe=a_recipe([world.content])))

    assert placed["expected"] is None
    assert world.api.get(f"/v1/orders/{placed['id']}")["expected"]["place"]["place"] == 1


def test_a_content_that_is_there_twice_is_told_before_it_is_counted_twice(world: World) -> None:
    asked = {"contents": [world.content, world.content], "base": "cardshop-amd64", "size": "8 GB"}

    answer = world.api.call("POST", "/v1/recipes/fit", asked)

    assert (answer.status, answer.body["field"]) == (422, "contents[1]"), answer
