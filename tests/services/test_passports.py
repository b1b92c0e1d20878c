"""What the scheduler signs: at the claim what goes onto the card, of a verified card its whole passport."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import ProgramFailed
from cardshop.contract.events import Card, CardWritten, EventType, Speed
from cardshop.contract.passports import CardStatement, Passport, Signed
from cardshop.programs import run
from cardshop.signatures import NotGenuine, PublicKeys
from scheduler.domain.rights import Role
from scheduler.domain.tasks import Task
from scheduler.shop import orders, tasks
from scheduler.shop.folding import fold_event
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import DIGEST, a_draft, image_built, told

WRITTEN = CardWritten(
    DIGEST,
    "A",
    Card("SD \n serial forged", 7_948_206_080),
    600_000_000,
    {"write": 1.0},
    manifest_sha256="e" * 64,
    host="rack-1",
    retries=2,
    write_speed=Speed(20_000_000, 17_000_000),
    read_speed=Speed(40_000_000, 39_000_000),
)


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    made = new_api(mongod.uri)
    for role in (Role.CREATOR, Role.WRITER):
        made.store.workers.seen(role.value, role, f"{role.value}@desk", online=True)
    return made


def built(api: Api, cards: int = 2) -> list[Task]:
    """The tasks of the cards of a new order whose image is built."""
    order = orders.place(api.store, replace(a_draft(quantity=cards), owner="client"))
    image = api.store.tasks.of_order(order.id)[0]
    image = tasks.claim(api.store, image.id, 1, worker="creator", role=Role.CREATOR).task
    fold_event(api.store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator")
    return api.store.tasks.of_order(order.id)[1:]


def claimed(api: Api, task: Task) -> Signed:
    answer = api.post(f"/v1/tasks/{task.id}/claims", {"attempt": task.attempt}, who="writer")
    return Signed(**answer["passport"])


def verified(api: Api) -> Task:
    first = built(api)[0]
    claimed(api, first)
    task = api.store.tasks.get(first.id)
    fold_event(api.store, told(task, EventType.TASK_SUCCEEDED, body=WRITTEN), sender="writer")
    return api.store.tasks.get(first.id)


def keys_file(api: Api, folder: Path) -> Path:
    path = folder / "keys.json"
    path.write_text(json.dumps(api.get("/v1/image-keys", who=None)))
    return path


def test_a_claim_brings_what_the_card_says(api: Api, tmp_path: Path) -> None:
    first = built(api)[0]

    signed = claimed(api, first)

    PublicKeys.from_file(keys_file(api, tmp_path)).check(signed)
    number = api.store.orders.get(first.order_id).number
    assert CardStatement.from_statement(signed.statement) == CardStatement(
        number, 1, 2, first.id, 1, DIGEST, "e" * 64
    )


def test_a_writer_that_has_the_image_gets_its_passport_though_the_warehouse_keeps_it_no_more(
    api: Api,
) -> None:
    first = built(api)[0]
    before = claimed(api, first)

    api.store.transaction(lambda session: api.store.images.lose(DIGEST, None, session))

    assert claimed(api, first) == before


def test_a_task_that_is_claimed_again_says_the_same_byte_for_byte(api: Api) -> None:
    first = built(api)[0]

    assert claimed(api, first) == claimed(api, first)


def test_a_verified_card_has_a_passport_that_openssl_verifies(api: Api, tmp_path: Path) -> None:
    task = verified(api)

    told_ = api.get(f"/v1/orders/{task.order_id}/passports")

    assert told_["total"] == 1
    item = told_["items"][0]
    signed = Signed(**item.pop("signed"))
    passport = Passport.from_statement(signed.statement)
    assert vars(passport) == item
    assert (passport.serial, passport.size) == (WRITTEN.card.serial, WRITTEN.card.size_bytes)
    assert (passport.write_median, passport.write_worst) == (20_000_000, 17_000_000)
    assert (passport.read_median, passport.read_worst) == (40_000_000, 39_000_000)
    assert (passport.retries, passport.host, passport.writer, passport.slot) == (2, "rack-1", "writer", "A")
    pem = {key["key"]: key["public_pem"] for key in api.get("/v1/image-keys")["items"]}[signed.key]
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "statement").write_bytes(signed.statement.encode())
    (tmp_path / "signature").write_bytes(base64.b64decode(signed.signature))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
    run([*words, "-in", "statement", "-sigfile", "signature"], cwd=tmp_path, timeout=30)
    (tmp_path / "statement").write_bytes(signed.statement.replace("order", "Order", 1).encode())
    with pytest.raises(ProgramFailed):
        run([*words, "-in", "statement", "-sigfile", "signature"], cwd=tmp_path, timeout=30)


def test_a_serial_number_can_t_pass_for_a_line_of_the_statement(api: Api) -> None:
    task = verified(api)

    statement = api.get(f"/v1/orders/{task.order_id}/passports")["items"][0]["signed"]["statement"]

    assert [line for line in statement.splitlines() if line.startswith(("serial", " serial"))] == [
        "serial SD %0A serial forged"
    ]


def test_a_passport_is_the_same_whenever_it_is_asked_for_and_outlives_its_image(api: Api) -> None:
    task = verified(api)
    before = api.get(f"/v1/orders/{task.order_id}/passports")

    api.store.transaction(lambda session: api.store.images.lose(DIGEST, None, session))

    assert api.get(f"/v1/orders/{task.order_id}/passports") == before


def test_a_card_that_is_not_verified_has_no_passport(api: Api) -> None:
    first = built(api)[0]
    claimed(api, first)

    assert api.get(f"/v1/orders/{first.order_id}/passports") == {"items": [], "total": 0}


def test_passports_are_told_page_by_page(api: Api) -> None:
    task = verified(api)
    path = f"/v1/orders/{task.order_id}/passports"

    first, second = api.get(f"{path}?per_page=1"), api.get(f"{path}?per_page=1&page=2")

    assert ([item["unit"] for item in first["items"]], first["total"]) == ([1], 1)
    assert (second["items"], second["total"]) == ([], 1)


def test_a_client_sees_the_passports_of_its_own_cards_only(api: Api) -> None:
    task = verified(api)

    assert api.get(f"/v1/orders/{task.order_id}/passports", who="client")["total"] == 1
    assert api.call("GET", f"/v1/orders/{task.order_id}/passports", who="client-2").status == 404


def test_a_changed_statement_and_an_unknown_key_are_not_genuine(api: Api, tmp_path: Path) -> None:
    signed = claimed(api, built(api)[0])
    keys = PublicKeys.from_file(keys_file(api, tmp_path))

    for forged in (
        replace(signed, statement=signed.statement.replace("unit 1", "unit 2")),
        replace(signed, key="another"),
        replace(signed, signature="no base64"),
        replace(signed, signature=base64.b64encode(bytes(64)).decode()),
        replace(signed, statement="\ud800"),
    ):
        with pytest.raises(NotGenuine):
            keys.check(forged)
