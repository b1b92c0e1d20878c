"""Something dies on the way from the order to its cards; the order ends well, and nothing is done twice.

Each test says what is killed. What must hold is the same: the order is ``written``, each card holds the image
byte for byte, and no message ended in the dead letters.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.customers import Customer
from tests.real_stack import RealStack
from tests.workers import until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def customer(stack: RealStack) -> Customer:
    return Customer(stack)


def image(order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(task for task in order["tasks"] if task["kind"] == "create")
    return found


def test_the_creator_is_killed_in_the_middle_of_a_build(stack: RealStack, customer: Customer) -> None:
    order_id = customer.place()
    customer.wait_phase(order_id, "create", "fetch", "build")

    killed = stack.kill("creator-1")
    stack.wait_back("creator-1", killed)
    order = customer.wait_state(order_id, "written")

    assert customer.claims(image(order)) == 2
    assert image(order)["attempt"] == 1
    customer.assert_good(order)


def test_the_monitor_is_down_during_a_build(stack: RealStack, customer: Customer) -> None:
    stack.stop("monitor")
    order_id = customer.place()
    until("the image is built", lambda: built_unnoticed(stack, customer, order_id), 60)
    unnoticed = customer.order(order_id)

    stack.start("monitor")
    order = customer.wait_state(order_id, "written")

    assert unnoticed["state"] != "built"
    assert customer.claims(image(order)) == 1
    customer.assert_good(order)


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_rabbitmq_is_restarted_during_a_build(stack: RealStack, customer: Customer, how: str) -> None:
    order_id = customer.place()
    customer.wait_phase(order_id, "create", "fetch", "build")

    killed = stack.kill("rabbit", how)
    stack.wait_back("rabbit", killed)
    order = customer.wait_state(order_id, "written")

    assert customer.claims(image(order)) == 1
    customer.assert_good(order)


def test_an_upload_is_cut_in_the_middle(stack: RealStack, customer: Customer) -> None:
    order_id = customer.place()
    digest = customer.order(order_id)["image_digest"]
    images = stack.stack.folder.inside("data", "warehouse", "images")
    part, final = images / f"{digest}.img.part", images / f"{digest}.img"
    warehouse = stack.pid("warehouse")
    until("the upload is on its way", lambda: stored(part) > 16 * MIB)

    os.kill(warehouse, signal.SIGKILL)
    cut_at = stored(part)
    finished_before = final.exists()
    stack.wait_back("warehouse", warehouse)
    order = customer.wait_state(order_id, "written")

    assert not finished_before
    assert cut_at < stored(final)
    assert customer.claims(image(order)) == 1
    customer.assert_good(order)


def test_a_card_is_turned_read_only(stack: RealStack, customer: Customer) -> None:
    order_id = customer.place()
    card = stack.cards.card_in("A")
    assert card
    card.path.chmod(0o444)

    failed = customer.wait_state(order_id, "failed")
    card.path.chmod(0o600)
    customer.retry(order_id)
    order = customer.wait_state(order_id, "written")

    assert failed["failure"]["code"] == "card-refused"
    attempts = {task["worker"]: task["attempt"] for task in order["tasks"] if task["kind"] == "write"}
    assert attempts == {"writer-1": 2, "writer-2": 1}
    customer.assert_good(order)


def test_a_writer_is_killed_in_the_middle_of_a_card(stack: RealStack, customer: Customer) -> None:
    order_id = customer.place()
    task = customer.wait_phase(order_id, "write", "download", "write", "read-back")

    killed = stack.kill(task["worker"])
    stack.wait_back(task["worker"], killed)

    customer.assert_good(customer.wait_state(order_id, "written"))


def test_an_order_that_waits_for_a_card_is_canceled_within_seconds(
    stack: RealStack, customer: Customer
) -> None:
    order_id = customer.place()
    stack.cards.remove("A")
    until("the writer waits", lambda: state_of(customer, order_id, "writer-1") == "waiting-for-card", 60)

    customer.cancel(order_id)
    until("the task is ended", lambda: state_of(customer, order_id, "writer-1") == "canceled", 10)

    assert customer.order(order_id)["state"] == "canceled"
    customer.assert_good(customer.wait_state(customer.place(), "written"))


def built_unnoticed(stack: RealStack, customer: Customer, order_id: str) -> bool:
    task = image(customer.order(order_id))["id"]
    lines = stack.log("creator-1").splitlines()
    return any("event='ended'" in line and task in line for line in lines)


def state_of(customer: Customer, order_id: str, worker: str) -> str:
    tasks = customer.order(order_id)["tasks"]
    return next((task["state"] for task in tasks if task["worker"] == worker), "")


def stored(file: Path) -> int:
    """Bytes that a sparse file takes; 0 when it isn't there."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
