"""An order is canceled in the middle of each kind of work: it stops within seconds, nothing looks finished.

The creator and the writers are the real ones. A cancel while a card is waited for: test_faults_on_the_way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.catching import Middle, building, caught, downloading, in_warehouse, uploading, writing
from tests.customers import PATIENCE_SECONDS, Customer
from tests.real_stack import RealStack
from tests.workers import until

STOP_SECONDS = 60
"""A cancel is done within this time, on a busy host too; elsewhere it takes a second or two."""

MARK = b"Cardshop: this card is not finished."


@pytest.fixture(scope="module")
def customer(stack: RealStack) -> Customer:
    return Customer(stack)


CREATORS, WRITERS = ("creator-1",), ("writer-1", "writer-2")


@pytest.mark.parametrize(
    ("work", "workers"),
    [(building, CREATORS), (uploading, CREATORS), (downloading, WRITERS), (writing, WRITERS)],
)
def test_an_order_is_canceled_in_the_middle(
    stack: RealStack, customer: Customer, work: Callable[[RealStack], Middle], workers: tuple[str, ...]
) -> None:
    with caught(stack, customer, workers, work(stack)) as order_id:
        customer.cancel(order_id)
        customer.cancel(order_id)
        until("they are told", lambda: told_to_stop(stack, customer.order(order_id)), PATIENCE_SECONDS)

    until("every task has ended", lambda: at_work(customer.order(order_id)) == [], STOP_SECONDS)
    order = customer.order(order_id)
    assert order["state"] == "canceled"
    kind = "create" if workers == CREATORS else "write"
    assert "canceled" in {task["state"] for task in order["tasks"] if task["kind"] == kind}
    if workers == CREATORS:
        assert not in_warehouse(stack, order).exists()
    if work is writing:
        card = stack.cards.card_in("A")
        assert card
        with card.path.open("rb") as file:
            assert file.read(len(MARK)) == MARK
    customer.assert_good(customer.wait_state(customer.place(), "written"))


def at_work(order: dict[str, Any]) -> list[str]:
    """The states of the tasks that have not ended."""
    ended = ("succeeded", "failed", "canceled")
    return [task["state"] for task in order["tasks"] if task["state"] not in ended]


def told_to_stop(stack: RealStack, order: dict[str, Any]) -> bool:
    """Whether the broker has what each worker is to stop."""
    sent = [line for line in stack.log("beat").splitlines() if "event='sent'" in line and "revoke" in line]
    stopping = [task["id"] for task in order["tasks"] if task["state"] == "stopping"]
    return stopping != [] and all(any(task in line for line in sent) for task in stopping)
