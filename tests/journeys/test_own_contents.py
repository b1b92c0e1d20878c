"""An organisation's own ZIM file, from an operator's desk to a verified card, on the real stack."""

from __future__ import annotations

import json
from pathlib import Path

from cardshop.command.__main__ import main
from cardshop.demo.proof import prove_card
from tests.customers import Customer, insert_empty_cards
from tests.real_stack import RealStack, wait_until
from tests.zims import make_zim

NAME, NAME_ON_CARD = "Guide d'été (50 %)?.zim", "Guide d'été (50 _)_.zim"
"""What kiwix-serve does not lead to has another name on a card."""


def test_an_uploaded_file_ends_on_a_card(stack: RealStack, tmp_path: Path) -> None:
    zim, session = make_zim(tmp_path / NAME, "A guide of ours", 20), str(tmp_path / "session.json")
    password, operator = tmp_path / "password", stack.api("operator")
    password.write_text(stack.password("operator"))
    insert_empty_cards(stack)

    words = ["--url", stack.scheduler_url, "--ca-file", str(stack.ca_file), "--username", "operator"]
    assert main(["--session", session, "login", *words, "--password-file", str(password)]) == 0
    assert main(["--session", session, "contents", "upload", str(zim)]) == 0
    wait_until("the shelf offers it", lambda: read_catalogue(stack) == 1, 60)
    (entry,) = operator.get("/v1/catalogue/entries", catalogue="shelf")["items"]
    recipe = {"name": "Ours", "base": "cardshop-amd64", "contents": [entry["ident"]], "size": "8 GB"}
    body = {"recipe": recipe, "quantity": 1, "recipient": {"name": "School"}}
    placed = operator.post("/v1/orders", body)["id"]
    order = Customer(stack, megabytes=5).wait_state(placed, "written", "failed")

    assert order["state"] == "written", order["failure"]
    (task,) = [each for each in order["tasks"] if each["kind"] == "write"]
    card = stack.cards.card_in(task["outcome"]["slot"])
    assert card
    images = stack.stack.folder.inside("data", "warehouse", "images")
    keys = {item["key"]: item["public_pem"] for item in operator.get("/v1/image-keys")["items"]}
    block_map = images / f"{order['image_digest']}.bmap"
    proof = prove_card(
        task["outcome"]["slot"], card.path, block_map, {NAME_ON_CARD: zim}, order=order["number"], keys=keys
    )
    assert proof.problems == ()
    manifest = json.loads((images / f"{order['image_digest']}.json").read_text())
    assert [content["file"] for content in manifest["contents"]] == [NAME_ON_CARD]
    assert main(["--session", session, "contents", "delete", NAME, "--yes"]) == 0
    assert list(stack.stack.services.zims.glob("*.zim*")) == []


def read_catalogue(stack: RealStack) -> int:
    """Reads the shelf's feed; how many entries it has."""
    return int(stack.api("operator").post("/v1/catalogues/shelf/refreshes", {})["entries"])
