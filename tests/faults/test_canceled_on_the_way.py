"""An order is canceled in the middle of each kind of work: it stops within seconds, nothing looks finished.

The creator and the writers are the real ones. A cancel while a card is waited for: test_faults_on_the_way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.catching import MIDDLE_BYTES, catch, stored
from tests.customers import Customer
from tests.real_stack import RealStack
from tests.workers import until

STOP_SECONDS = 10
"""A cancel is done within this time."""

MARK = b"Cardshop: this card is not finished."


@pytest.fixture(scope="module")
def customer(stack: RealStack) -> Customer:
    return Customer(stack)


def growing(stack: RealStack, work: str, digest: str) -> Path:
    """The file that grows while the work is done."""
    folder = stack.stack.folder
    match work:
        case "building":
            return folder.data("creator-1") / "work" / digest / f"{digest}.img.part"
        case "uploading":
            return folder.inside("data", "warehouse", "images") / f"{digest}.img.part"
        case "downloading":
            return folder.inside("data", "writers-cache") / digest / f"{digest}.img.part"
        case _:
            card = stack.cards.card_in("A")
            assert card
            return card.path


@pytest.mark.parametrize("work", ["building", "uploading", "downloading", "writing"])
def test_an_order_is_canceled_in_the_middle(stack: RealStack, customer: Customer, work: str) -> None:
    order_id = customer.place()
    digest = customer.order(order_id)["image_digest"]
    part = growing(stack, work, digest)
    catch(work, lambda: stored(part) > MIDDLE_BYTES)

    customer.cancel(order_id)
    customer.cancel(order_id)

    until("every task has ended", lambda: at_work(customer.order(order_id)) == [], STOP_SECONDS)
    order = customer.order(order_id)
    assert order["state"] == "canceled"
    assert "canceled" in {task["state"] for task in order["tasks"] if task["kind"] == kind_of(work)}
    if work in ("building", "uploading"):
        images = stack.stack.folder.inside("data", "warehouse", "images")
        assert not (images / f"{digest}.img").exists()
    if work == "writing":
        with part.open("rb") as card:
            assert card.read(len(MARK)) == MARK
    customer.assert_good(customer.wait_state(customer.place(), "written"))


def at_work(order: dict[str, Any]) -> list[str]:
    """The states of the tasks that have not ended."""
    ended = ("succeeded", "failed", "canceled")
    return [task["state"] for task in order["tasks"] if task["state"] not in ended]


def kind_of(work: str) -> str:
    return "create" if work in ("building", "uploading") else "write"
