"""A customer of the whole stack: contents in the catalogue, cards in the slots, orders through the API."""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path
from typing import Any

from cardshop.contract.passports import CardStatement, Signed
from cardshop.image_format import Manifest
from cardshop.transfer.checking import wrong_runs
from scheduler.domain.media import size_of
from tests.real_stack import RealStack
from tests.workers import until
from tests.zims import make_zim

PATIENCE_SECONDS = 300.0
CARD_BYTES = size_of(8) + 100_000_000
SLOTS = ("A", "B")


class Customer:
    """Orders cards of one recipe; each order has an image of its own.

    Args:
        stack: running.
        megabytes: of contents that don't compress; they give a fault the time to fall into the work.
    """

    def __init__(self, stack: RealStack, megabytes: int = 150) -> None:
        self._stack = stack
        self._operator = stack.api("operator")
        self.ident = publish(stack, f"noise-{megabytes}", f"{megabytes} MB of noise", megabytes)

    def place(self, cards: int = 2) -> str:
        """Puts empty cards into the slots and orders. Returns the order's id."""
        insert_empty_cards(self._stack)
        return self.order_cards(cards)

    def order_cards(self, cards: int = 2) -> str:
        """Orders, with the slots as they are. Returns the order's id."""
        recipe = {
            "name": "School library",
            "ssid": uuid.uuid4().hex[:24],
            "base": "cardshop-amd64",
            "contents": [self.ident],
            "size": "8 GB",
        }
        recipe_id = self._operator.post("/v1/recipes", recipe)["id"]
        body = {"recipe_id": recipe_id, "quantity": cards, "recipient": {"name": "School"}}
        return str(self._operator.post("/v1/orders", body)["id"])

    def order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._operator.get(f"/v1/orders/{order_id}")
        return found

    def retry(self, order_id: str) -> None:
        self._operator.post(f"/v1/orders/{order_id}/retry", {})

    def cancel(self, order_id: str) -> None:
        self._operator.post(f"/v1/orders/{order_id}/cancel", {})

    def wait_state(self, order_id: str, *states: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Waits until the order is in one of the states; the order."""
        order: dict[str, Any] = {}

        def there() -> bool:
            order.clear()
            order.update(self.order(order_id))
            return order["state"] in states

        try:
            until(f"the order is {states}", there, seconds)
        except AssertionError:
            raise AssertionError(f"the order is not {states}: {order}") from None
        return order

    def assert_good(self, order: dict[str, Any]) -> None:
        """As :func:`assert_good`."""
        assert_good(self._stack, order)

    def begun(self, order: dict[str, Any]) -> dict[str, int]:
        """How often a worker began the image and each card of the order: 1 unless the work was lost."""
        return {_name(task): self._told("begun", task) for task in order["tasks"]}

    def has_ended(self, task: dict[str, Any], worker: str) -> bool:
        """Whether the worker ended the task, whatever the database knows."""
        return self._told("ended", task, worker) > 0

    def _told(self, event: str, task: dict[str, Any], worker: str = "") -> int:
        lines = self._stack.log(worker or task["worker"]).splitlines()
        return sum(f"event='{event}'" in line and task["id"] in line for line in lines)


def assert_good(stack: RealStack, order: dict[str, Any]) -> None:
    """Each card of the order holds its image, each in a slot of its own, and no message went astray since."""
    writes = [task["outcome"] for task in order["tasks"] if task["kind"] == "write"]
    serials = [outcome["card"]["serial"] for outcome in writes]
    assert len(set(serials)) == len(writes)
    images = stack.stack.folder.inside("data", "warehouse", "images")
    manifest = Manifest.from_file(images / f"{order['image_digest']}.json")
    for outcome in writes:
        assert outcome["verified_bytes"] == manifest.mapped_bytes
        card = stack.cards.card_in(outcome["slot"])
        assert card
        assert card.serial == outcome["card"]["serial"]
        assert _wrong(card.path, manifest) == []
        assert _passport_on(card.path, manifest).order == order["number"]
    letters = stack.api("admin").get("/v1/dead-letters")["items"]
    assert [letter for letter in letters if letter["at"] >= order["created_at"]] == []


def insert_empty_cards(stack: RealStack, *slots: str) -> None:
    """An empty card is in each of the slots (all of them when none is named), the one before on the shelf."""
    for slot in slots or SLOTS:
        if stack.cards.card_in(slot):
            stack.cards.remove(slot)
        stack.cards.insert(slot, CARD_BYTES)


def publish(stack: RealStack, name: str, title: str, megabytes: int, language: str = "eng") -> str:
    """Lists a ZIM file of about this size in the stack's catalogue, and has it read. Its ident."""
    library = stack.stack.services.library
    zim = library.folder / f"{name}.zim"
    if not zim.exists():
        noise = random.Random(name)  # noqa: S311 - filler, the same each time
        files = {f"file-{number}": noise.randbytes(1_000_000) for number in range(megabytes)}
        make_zim(zim, title, language=language, files=files)
    library.publish()
    admin = stack.api("admin")
    found: list[str] = []

    def listed() -> bool:
        admin.post("/v1/catalogues/local/refreshes", {})
        entries = admin.get("/v1/catalogue/entries", q=title)["items"]
        found[:] = [entry["ident"] for entry in entries if entry["title"] == title]
        return bool(found)

    until("the catalogue lists the contents", listed, PATIENCE_SECONDS)
    return found[0]


def _name(task: dict[str, Any]) -> str:
    return f"card {task['unit']}" if task["kind"] == "write" else "image"


def _wrong(card: Path, manifest: Manifest) -> list[Any]:
    with card.open("rb") as file:
        return list(wrong_runs(file.fileno(), manifest.chunks_of_every_card()))


def _passport_on(card: Path, manifest: Manifest) -> CardStatement:
    assert manifest.passport
    with card.open("rb") as file:
        place = os.pread(file.fileno(), manifest.passport.length, manifest.passport.offset)
    return CardStatement.from_statement(Signed.from_text(place.decode()).statement)
