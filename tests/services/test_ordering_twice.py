"""An order that is sent again: the same one is placed once, another one is not taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cardshop.stack.library import Library
from tests.api import Api, a_recipe, an_order, new_api, published_library, read_catalogue
from tests.manager_pages import Page, Visitor, manager_of
from tests.real_services import RealMongod

KEY = {"Idempotency-Key": "monday"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with published_library(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture
def api(mongod: RealMongod, library: Library) -> Api:
    made = new_api(mongod.uri)
    ident, *_ = read_catalogue(made, library.feed_url)
    made.post("/v1/recipes", a_recipe([ident]), who="operator")
    return made


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    with manager_of(api, tmp_path) as client:
        yield client


def recipe_id(api: Api) -> str:
    return str(api.get("/v1/recipes")["items"][0]["id"])


def numbers(api: Api) -> list[int]:
    return [order["number"] for order in api.get("/v1/orders")["items"]]


def test_the_same_order_with_the_same_key_is_answered_though_its_contents_are_gone(api: Api) -> None:
    body = an_order(recipe_id=recipe_id(api))
    first = api.call("POST", "/v1/orders", body, who="operator", headers=KEY)
    api.store.catalogue.replace_entries("local", [], etag=None, modified=None)

    again = api.call("POST", "/v1/orders", body, who="operator", headers=KEY)

    assert (first.status, again.status) == (201, 201)
    assert again.body["id"] == first.body["id"]


@pytest.mark.parametrize(
    "change", [{"quantity": 3}, {"recipient": {"name": "Another school"}}, {"client": "x"}]
)
def test_another_order_with_the_same_key_is_refused_and_not_taken_for_the_first(
    api: Api, change: dict[str, object]
) -> None:
    body = an_order(recipe_id=recipe_id(api))
    first = api.call("POST", "/v1/orders", body, who="operator", headers=KEY)

    other = api.call("POST", "/v1/orders", {**body, **change}, who="operator", headers=KEY)

    assert (other.status, other.body["code"]) == (409, "conflict")
    assert f"Order {first.body['number']} " in other.body["detail"]
    assert api.call("POST", "/v1/orders", {**body, **change}, who="admin", headers=KEY).status == 201


def test_an_order_with_the_same_key_and_another_wifi_password_is_another(api: Api) -> None:
    ident = api.get("/v1/catalogue/entries")["items"][0]["ident"]
    body = an_order(recipe=a_recipe([ident]))
    api.call("POST", "/v1/orders", body, who="operator", headers=KEY)

    other = an_order(recipe=a_recipe([ident], wifi_password="another-key"))

    assert api.call("POST", "/v1/orders", other, who="operator", headers=KEY).status == 409


def test_a_form_that_is_sent_twice_is_one_order_and_one_that_was_changed_is_told(
    api: Api, manager: FlaskClient
) -> None:
    operator = Visitor(manager, "operator")
    form = operator.get("/orders/new")
    values = {"recipe_id": recipe_id(api), "quantity": "1", "recipient.name": "School", "key": key_of(form)}
    answers = [sent(manager, form, values) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert numbers(api) == [1]

    told = sent(manager, form, {**values, "quantity": "4"})

    assert told.status == 409
    assert "Order 1 was placed" in told.text
    assert numbers(api) == [1]
    after = sent(manager, told, {**values, "quantity": "4", "key": key_of(told)})
    assert after.status == 200
    assert len(numbers(api)) == 2


def key_of(form: Page) -> str:
    return form.root.one("input", name="key").attributes["value"]


def sent(manager: FlaskClient, form: Page, values: dict[str, str]) -> Page:
    token = form.root.all("form")[-1].one("input", name="csrf_token").attributes["value"]
    answer = manager.post("/orders/new", data={**values, "csrf_token": token}, follow_redirects=True)
    return Page(answer.status_code, answer.text)
