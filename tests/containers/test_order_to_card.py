"""``docker-compose up`` takes an order to a verified card."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from cardshop.demo.proof import prove_card
from cardshop.scheduler_client import SchedulerClient
from cardshop.stack.library import write_metalink
from scheduler.domain.media import size_of
from tests.containers.composed import ONCE, Composed
from tests.workers import until
from tests.zims import make_zim

pytestmark = pytest.mark.timeout(3600)

ZIM = "handbook_en"
CARD_BYTES = size_of(8) + 100_000_000
PATIENCE_SECONDS = 300.0
FEED = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:x:1</id><title>A handbook</title>
<name>{zim}</name><flavour></flavour><language>eng</language><publisher><name>Cardshop</name></publisher>
<link rel="http://opds-spec.org/acquisition/open-access" type="application/x-zim"
href="http://mirror:8000/{zim}.zim.meta4" length="{bytes}"/></entry></feed>"""


def publish(composed: Composed) -> Path:
    """The ZIM file that the mirror serves."""
    zim = make_zim(composed.mirror / f"{ZIM}.zim", "A handbook")
    write_metalink(zim, f"http://mirror:8000/{zim.name}")
    (composed.mirror / "feed.xml").write_text(FEED.format(zim=ZIM, bytes=zim.stat().st_size))
    return zim


def insert_card(composed: Composed) -> Path:
    card = composed.slot / "card-1"
    growing = composed.slot / ".card-1"
    with growing.open("xb") as file:
        file.truncate(CARD_BYTES)
    growing.chmod(0o666)
    growing.rename(card)
    return card


def place_order(api: SchedulerClient) -> str:
    recipe = {
        "name": "Handbook",
        "ssid": secrets.token_hex(8),
        "wifi_password": "reading-is-free",
        "base": "cardshop-amd64",
        "contents": [api.get("/v1/catalogue/entries")["items"][0]["ident"]],
        "size": "8 GB",
    }
    recipe_id = api.post("/v1/recipes", recipe)["id"]
    order = {"recipe_id": recipe_id, "quantity": 1, "recipient": {"name": "School"}}
    return str(api.post("/v1/orders", order)["id"])


def wait_written(composed: Composed, api: SchedulerClient, order_id: str) -> dict[str, Any]:
    order: dict[str, Any] = {}

    def ended() -> bool:
        order.update(api.get(f"/v1/orders/{order_id}"))
        return order["state"] in {"written", "failed"}

    try:
        until("the order ends", ended, PATIENCE_SECONDS)
        assert order["state"] == "written"
    except AssertionError:
        raise AssertionError(f"{order}\n{composed.logs()}") from None
    return order


def test_an_order_ends_in_a_card_that_others_tools_find_good(composed: Composed, tmp_path: Path) -> None:
    zim, card = publish(composed), insert_card(composed)
    admin = composed.api("admin", composed.first_password("admin"))
    admin.post("/v1/catalogues", {"name": "mirror", "url": "http://mirror:8000/feed.xml"})
    admin.post("/v1/catalogues/mirror/refreshes", {})

    order = wait_written(composed, admin, place_order(admin))

    write = next(task for task in order["tasks"] if task["kind"] == "write")
    assert write["outcome"]["card"]["serial"] == card.name
    block_map = tmp_path / f"{order['image_digest']}.bmap"
    for name in (f"{order['image_digest']}.bmap", f"{order['image_digest']}.json"):
        (tmp_path / name).write_text(composed.image_file(name))
    keys = {item["key"]: item["public_pem"] for item in admin.get("/v1/image-keys")["items"]}
    proof = prove_card("A", card, block_map, {zim.name: zim}, order=order["number"], keys=keys)
    assert proof.problems == ()


def test_every_service_becomes_healthy(composed: Composed) -> None:
    asked = {"mongo", "scheduler", "rabbit", "monitor", "beat", "warehouse", "manager"}

    def healthy() -> bool:
        health = composed.health()
        return {name for name, state in health.items() if state == "healthy"} == asked and all(
            state in {"healthy", "running"} for state in health.values()
        )

    until(f"healthy: {asked}", healthy, PATIENCE_SECONDS)


def test_services_run_without_root_and_write_only_to_their_volumes(composed: Composed) -> None:
    containers = {name: item for name, item in composed.containers().items() if name not in ONCE | {"mirror"}}

    assert len(containers) == 10
    for name, item in containers.items():
        rights = item["HostConfig"]
        assert item["Config"]["User"] not in {"", "root", "0"}, name
        assert (rights["ReadonlyRootfs"], rights["CapDrop"], rights["CapAdd"]) == (True, ["ALL"], None), name
        assert "no-new-privileges:true" in rights["SecurityOpt"], name
        writable = {
            mount["Destination"] for mount in item["Mounts"] if mount["RW"] and mount["Type"] == "bind"
        }
        # The folder that uploads come into is one that the admin chooses.
        assert writable == ({"/zims"} if name == "warehouse" else set()), name


def test_docker_knows_no_secret(composed: Composed) -> None:
    known = json.dumps(composed.containers())
    secret_words = {
        composed.compose("exec", "-T", service, "cat", f"/run/cardshop/{file}").text
        for service, file in [
            ("scheduler", "mongo-uri"),
            ("scheduler", "secret.key"),
            ("manager", "secret.key"),
            *((service, "password") for service in ("monitor", "beat", "warehouse", "creator", "writer")),
        ]
    } | {composed.first_password("admin")}

    assert [word for word in secret_words if word in known or word in composed.logs()] == []


def test_a_second_up_keeps_passwords_and_certificates(composed: Composed) -> None:
    password, authority = composed.first_password("admin"), composed.ca_file.read_text()
    composed.compose("stop", "scheduler")

    composed.up()

    assert composed.ca_file.read_text() == authority
    assert composed.api("admin", password).get("/v1/users")["items"] != []
