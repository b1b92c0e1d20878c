"""The whole way from an order to verified cards, through the API alone, on the real stack."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from cardshop.command.__main__ import main
from cardshop.contract.errors import DoesNotFit
from cardshop.demo.proof import prove_card
from tests.customers import Customer, insert_empty_cards, publish
from tests.real_stack import RealStack

WIFI_KEY = "reading-is-free"
TITLE = "Journeys of a card"


@pytest.fixture(scope="module")
def content(stack: RealStack) -> str:
    return publish(stack, "journeys", TITLE, 8, language="fra")


@pytest.fixture(scope="module")
def customer(stack: RealStack) -> Customer:
    return Customer(stack, megabytes=5)


def keep_recipe(stack: RealStack, content: str) -> str:
    recipe = {
        "name": "Bibliothèque",
        "hostname": "bibliotheque",
        "ssid": uuid.uuid4().hex[:24],
        "wifi_password": WIFI_KEY,
        "language": "fr",
        "timezone": "Africa/Bamako",
        "base": "cardshop-amd64",
        "contents": [content],
        "size": "auto",
    }
    return str(stack.api("operator").post("/v1/recipes", recipe)["id"])


def place(stack: RealStack, recipe_id: str, quantity: int) -> str:
    order = {"recipe_id": recipe_id, "quantity": quantity, "recipient": {"name": "École de Kati"}}
    return str(stack.api("operator").post("/v1/orders", order)["id"])


def writes(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for task in order["tasks"] if task["kind"] == "write"]


def test_an_order_becomes_cards_that_other_people_s_tools_find_right(
    stack: RealStack, customer: Customer, content: str, tmp_path: Path
) -> None:
    insert_empty_cards(stack)
    operator = stack.api("operator")
    recipe_id = keep_recipe(stack, content)
    fit = operator.get(f"/v1/recipes/{recipe_id}/fit")

    order = customer.wait_state(place(stack, recipe_id, 2), "written", "failed")

    assert order["state"] == "written", order["failure"]
    assert (fit["medium"], fit["fits"]) == ("8 GB", True)
    assert customer.begun(order) == {"image": 1, "card 1": 1, "card 2": 1}
    customer.assert_good(order)
    images = stack.stack.folder.inside("data", "warehouse", "images")
    zim = stack.stack.services.library.folder / "journeys.zim"
    told = operator.get("/v1/image-keys")
    keys, keys_file = {item["key"]: item["public_pem"] for item in told["items"]}, tmp_path / "keys.json"
    keys_file.write_text(json.dumps(told))
    for task in writes(order):
        slot = task["outcome"]["slot"]
        card = stack.cards.card_in(slot)
        assert card
        block_map, number = images / f"{order['image_digest']}.bmap", order["number"]
        proof = prove_card(slot, card.path, block_map, {zim.name: zim}, order=number, keys=keys)
        assert proof.problems == ()
        assert main(["verify", str(card.path), "--keys", str(keys_file)]) == 0
    passports = operator.get(f"/v1/orders/{order['id']}/passports")["items"]
    assert [passport["serial"] for passport in passports] == [
        task["outcome"]["card"]["serial"] for task in writes(order)
    ]
    assert all(passport["write_median"] >= passport["write_worst"] > 0 for passport in passports)
    assert WIFI_KEY not in str(order)
    shipped = operator.post(f"/v1/orders/{order['id']}/shipment", {"tracking": "RB 123"})
    assert (shipped["state"], shipped["tracking"]) == ("shipped", "RB 123")


def test_the_same_recipe_ordered_again_needs_no_build(
    stack: RealStack, customer: Customer, content: str
) -> None:
    recipe_id = keep_recipe(stack, content)
    first = customer.wait_state(place(stack, recipe_id, 0), "built")
    insert_empty_cards(stack)

    second = customer.wait_state(place(stack, recipe_id, 1), "written", "failed")

    assert second["image_digest"] == first["image_digest"]
    image = next(task for task in second["tasks"] if task["kind"] == "create")
    assert (image["state"], image["worker"]) == ("succeeded", None)
    customer.assert_good(second)


def test_an_order_of_no_cards_ends_with_its_download(
    stack: RealStack, customer: Customer, content: str
) -> None:
    order = customer.wait_state(place(stack, keep_recipe(stack, content), 0), "built")

    link = stack.api("operator").post(f"/v1/orders/{order['id']}/download-tokens", {})

    assert (link["port"], link["file"]) == (stack.warehouse_port, f"{order['image_digest']}.img")
    assert writes(order) == []


def test_what_is_too_large_for_the_card_is_refused_when_it_is_ordered(stack: RealStack, content: str) -> None:
    # Too small for the system alone: no other test's order takes it for the smallest card that fits.
    medium = {"name": f"tiny-{uuid.uuid4().hex[:6]}", "nominal_gb": 1, "size_bytes": 544 * 1024 * 1024}
    stack.api("admin").post("/v1/media", medium)
    order = {
        "recipe_id": keep_recipe(stack, content),
        "medium": medium["name"],
        "quantity": 1,
        "recipient": {"name": "School"},
    }

    with pytest.raises(DoesNotFit) as refused:
        stack.api("operator").post("/v1/orders", order)

    assert str(medium["name"]) in refused.value.sentence
