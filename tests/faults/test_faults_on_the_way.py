"""Something dies on the way from the order to its cards; the order ends well, and nothing is done twice.

Each test says what is killed. What must hold is the same: the order is ``written``, each card holds the image
byte for byte, no message ended in the dead letters, and only what was lost was begun again.

Where a fault must fall into the middle of the work, who does it stands still there (tests/catching.py).
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.catching import building, caught, in_warehouse, stored, uploading, writing
from tests.customers import PATIENCE_SECONDS, Customer, insert_empty_cards
from tests.real_stack import RealStack
from tests.workers import until

AWAY_SECONDS = 15.0
"""Longer than several tries; how long is waited at most is shown with a clock of its own elsewhere."""

EACH_ONCE = {"image": 1, "card 1": 1, "card 2": 1}


@pytest.fixture(scope="module")
def customer(stack: RealStack) -> Customer:
    return Customer(stack)


def test_the_creator_is_killed_in_the_middle_of_a_build(stack: RealStack, customer: Customer) -> None:
    with caught(stack, customer, ["creator-1"], building(stack)) as order_id:
        killed = stack.kill("creator-1")
    stack.wait_back("creator-1", killed)
    order = customer.wait_state(order_id, "written")

    assert customer.begun(order) == EACH_ONCE | {"image": 2}
    assert image(order)["attempt"] == 1
    customer.assert_good(order)


def test_the_monitor_is_down_during_a_build(stack: RealStack, customer: Customer) -> None:
    stack.stop("monitor")
    order_id = customer.place()
    task = image(customer.order(order_id))
    until("the image is built", lambda: customer.has_ended(task, "creator-1"), PATIENCE_SECONDS)
    unnoticed = customer.order(order_id)

    stack.start("monitor")
    order = customer.wait_state(order_id, "written")

    assert unnoticed["state"] not in {"built", "writing", "written"}
    assert customer.begun(order) == EACH_ONCE
    customer.assert_good(order)


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_rabbitmq_is_restarted_during_a_build(stack: RealStack, customer: Customer, how: str) -> None:
    with caught(stack, customer, ["creator-1"], building(stack)) as order_id:
        killed = stack.pid("rabbit")
        stack.stack.supervisor.send_signal("rabbit", how)
    stack.wait_back("rabbit", killed)
    order = customer.wait_state(order_id, "written")

    assert customer.begun(order) == EACH_ONCE
    customer.assert_good(order)


def test_an_upload_is_cut_in_the_middle(stack: RealStack, customer: Customer) -> None:
    with caught(stack, customer, ["warehouse"], uploading(stack)) as order_id:
        killed = stack.kill("warehouse")
        image = in_warehouse(stack, customer.order(order_id))
        cut_at, finished = stored(image.with_suffix(".img.part")), image.exists()
    stack.wait_back("warehouse", killed)
    order = customer.wait_state(order_id, "written")

    assert not finished
    assert 0 < cut_at < stored(image)
    assert customer.begun(order) == EACH_ONCE
    customer.assert_good(order)


def test_the_warehouse_is_away_for_a_while_when_the_image_is_brought(
    stack: RealStack, customer: Customer
) -> None:
    stack.stop("warehouse")
    order_id = customer.place()
    digest = customer.order(order_id)["image_digest"]
    built = stack.stack.folder.data("creator-1") / "work" / digest / f"{digest}.json"
    until("the image is built", built.exists, PATIENCE_SECONDS)
    threading.Event().wait(AWAY_SECONDS)
    meanwhile = customer.order(order_id)

    stack.start("warehouse")
    order = customer.wait_state(order_id, "written")

    assert meanwhile["state"] == "building"
    assert customer.begun(order) == EACH_ONCE
    customer.assert_good(order)


@pytest.mark.parametrize("moment", ["before it is written", "in the middle"])
def test_a_card_is_turned_read_only(stack: RealStack, customer: Customer, moment: str) -> None:
    if moment == "in the middle":
        with caught(stack, customer, ["writer-1"], writing(stack)) as order_id:
            card = stack.cards.card_in("A")
            assert card
            card.path.chmod(0o444)
    else:
        insert_empty_cards(stack)
        card = stack.cards.card_in("A")
        assert card
        card.path.chmod(0o444)
        order_id = customer.order_cards()

    until("the writer waits", lambda: first_card(customer, order_id) == "waiting-for-card", PATIENCE_SECONDS)
    card.path.chmod(0o600)
    order = customer.wait_state(order_id, "written")

    attempts = {task["worker"]: task["attempt"] for task in order["tasks"] if task["kind"] == "write"}
    assert attempts == {"writer-1": 1, "writer-2": 1}
    assert customer.begun(order) == EACH_ONCE
    customer.assert_good(order)


def test_a_writer_is_killed_in_the_middle_of_a_card(stack: RealStack, customer: Customer) -> None:
    with caught(stack, customer, ["writer-1"], writing(stack)) as order_id:
        killed = stack.kill("writer-1")
    stack.wait_back("writer-1", killed)
    order = customer.wait_state(order_id, "written")

    assert sorted(customer.begun(order).values()) == [1, 1, 2]
    customer.assert_good(order)


def test_an_order_that_waits_for_a_card_is_canceled_within_seconds(
    stack: RealStack, customer: Customer
) -> None:
    insert_empty_cards(stack)
    stack.cards.remove("A")
    order_id = customer.order_cards()
    until("the writer waits", lambda: first_card(customer, order_id) == "waiting-for-card", PATIENCE_SECONDS)

    customer.cancel(order_id)
    until("the task is ended", lambda: first_card(customer, order_id) == "canceled", 60)

    assert customer.order(order_id)["state"] == "canceled"
    customer.assert_good(customer.wait_state(customer.place(), "written"))


def image(order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(task for task in order["tasks"] if task["kind"] == "create")
    return found


def first_card(customer: Customer, order_id: str) -> str:
    """The state of the card that slot A's writer has, empty while it has none."""
    tasks = customer.order(order_id)["tasks"]
    return next((str(task["state"]) for task in tasks if task["worker"] == "writer-1"), "")
