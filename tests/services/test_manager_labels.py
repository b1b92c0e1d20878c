"""The manager's pages about passports: what an order's page tells of a card, and the labels to print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import segno
from flask.testing import FlaskClient

from cardshop.contract.events import EventType, Speed
from cardshop.contract.passports import Passport, Signed
from scheduler.domain.rights import Role
from scheduler.shop import orders
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from tests.api import Api, new_api
from tests.manager_pages import Element, Visitor, manager_of
from tests.real_services import RealMongod
from tests.shop import a_draft, card_written, image_built, told


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    with manager_of(api, tmp_path) as client:
        yield client


def one_of_two_verified(api: Api, verified: int = 1) -> str:
    """An order of two cards of which so many are verified."""
    for role in (Role.CREATOR, Role.WRITER):
        api.store.workers.seen(role.value, role, f"{role.value}@desk", online=True)
    order = orders.place(api.store, replace(a_draft(quantity=2), owner="client"))
    image, *cards = api.store.tasks.of_order(order.id)
    image = claim(api.store, image.id, 1, worker="creator", role=Role.CREATOR).task
    fold_event(api.store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator")
    written = replace(card_written(), host="rack-1", retries=2, write_speed=Speed(20_000_000, 17_000_000))
    for card in cards[:verified]:
        claimed = claim(api.store, card.id, 1, worker="writer", role=Role.WRITER).task
        fold_event(api.store, told(claimed, EventType.TASK_SUCCEEDED, body=written), sender="writer")
    return order.id


def drawing(code: Element) -> list[str]:
    return [path.attributes["d"] for path in code.all("path")]


def test_the_order_s_page_tells_what_is_known_of_a_card_and_leads_to_its_label(
    api: Api, manager: FlaskClient
) -> None:
    order_id = one_of_two_verified(api)

    page = Visitor(manager, "operator").get(f"/orders/{order_id}")

    assert "20.0 MB/s, at worst 17.0 MB/s" in page.text
    assert "2 requests" in page.text
    assert "rack-1" in page.text
    assert f"/orders/{order_id}/labels/1" in page.html
    assert f"/orders/{order_id}/labels/2" not in page.html


@pytest.mark.parametrize("path", ["labels", "labels/1"])
def test_a_label_s_code_holds_the_signed_passport(api: Api, manager: FlaskClient, path: str) -> None:
    order_id = one_of_two_verified(api)
    passport = api.get(f"/v1/orders/{order_id}/passports")["items"][0]
    signed = Signed(**passport["signed"])

    page = Visitor(manager, "client").get(f"/orders/{order_id}/{path}")

    (label,) = [item for item in page.root.all("li") if "label" in item.attributes.get("class", "").split()]
    assert "Card 1 of 2" in label.text
    assert "card-A" in label.text
    expected = segno.make_qr(signed.to_text(), error="m").svg_inline(omitsize=True, border=4)
    (drawn,) = drawing(label)
    assert drawn in expected
    assert Passport.from_statement(signed.statement).serial == "card-A"
    assert " style=" not in page.html


def test_a_card_that_is_not_verified_has_no_label(api: Api, manager: FlaskClient) -> None:
    order_id = one_of_two_verified(api)
    visitor = Visitor(manager, "operator")

    assert visitor.get(f"/orders/{order_id}/labels/2").status == 404
    nothing = orders.place(api.store, a_draft(image_digest="5" * 64))
    assert "No card of this order is verified yet" in visitor.get(f"/orders/{nothing.id}/labels").text
    assert "/labels" not in visitor.get(f"/orders/{nothing.id}").html


def test_the_labels_of_a_large_order_come_page_by_page(
    api: Api, manager: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.pages.labels.PER_PAGE", 1)
    order_id = one_of_two_verified(api, verified=2)
    visitor = Visitor(manager, "operator")

    first, second = (
        visitor.get(f"/orders/{order_id}/labels"),
        visitor.get(f"/orders/{order_id}/labels?page=2"),
    )

    assert ("Card 1 of 2" in first.text, "Card 2 of 2" in first.text) == (True, False)
    assert ("Card 1 of 2" in second.text, "Card 2 of 2" in second.text) == (False, True)
    assert "labels?page=2" in first.html
    assert "2 labels, 1 a page" in first.text


def test_nobody_sees_the_labels_of_another_s_order(api: Api, manager: FlaskClient) -> None:
    order_id = one_of_two_verified(api)

    assert Visitor(manager, "client-2").get(f"/orders/{order_id}/labels").status == 404
