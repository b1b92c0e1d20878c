"""Catching work in its middle, by the files that grow: what is told of the progress comes too late.

Who does the work stands still while it is caught: what happens then happens in the middle, however long this
process had to wait for a busy host. Where the work had passed its middle before, another order is placed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.customers import PATIENCE_SECONDS, Customer
from tests.real_stack import RealStack, wait_until

MIDDLE_BYTES = 16 * 1024 * 1024
"""Of the image's 160 MB: when so many are there, the work is in its middle."""

LATE_BYTES = 96 * 1024 * 1024
"""A card with so many of them may be finished before its writer stands still."""

TRIES = 10

Order = dict[str, Any]
Middle = Callable[[Order], Callable[[], bool]]
"""By order, what says whether its work is in its middle."""


@contextmanager
def caught(stack: RealStack, customer: Customer, workers: Sequence[str], middle: Middle) -> Iterator[str]:
    """The id of an order whose work stands still in its middle until the end of the block.

    Args:
        stack: running.
        customer: who orders.
        workers: the services that stand still.
        middle: of which work.
    """
    for _ in range(TRIES):
        order_id = customer.place()
        is_there = middle(customer.order(order_id))
        if _seen(customer, order_id, is_there):
            with _standing_still([stack.pid(worker) for worker in workers]):
                if is_there():
                    yield order_id
                    return
        customer.wait_state(order_id, "written")
    raise AssertionError(f"this process came too late for the middle of the work {TRIES} times")


def building(stack: RealStack) -> Middle:
    """The creator makes the image."""

    def of(order: Order) -> Callable[[], bool]:
        digest = order["image_digest"]
        part = stack.stack.folder.data("creator-1") / "work" / digest / f"{digest}.img.part"
        return lambda: stored(part) > MIDDLE_BYTES

    return of


def uploading(stack: RealStack) -> Middle:
    """The image is brought to the warehouse."""

    def of(order: Order) -> Callable[[], bool]:
        part = in_warehouse(stack, order).with_suffix(".img.part")
        return lambda: stored(part) > MIDDLE_BYTES

    return of


def downloading(stack: RealStack) -> Middle:
    """One of the writers fetches the image."""

    def of(order: Order) -> Callable[[], bool]:
        digest = order["image_digest"]
        part = stack.stack.folder.inside("data", "writers-cache") / digest / f"{digest}.img.part"
        return lambda: stored(part) > MIDDLE_BYTES

    return of


def writing(stack: RealStack) -> Middle:
    """The card in slot A is written."""

    def of(_order: Order) -> Callable[[], bool]:
        card = stack.cards.card_in("A")
        assert card
        return lambda: MIDDLE_BYTES < stored(card.path) < LATE_BYTES

    return of


def in_warehouse(stack: RealStack, order: Order) -> Path:
    """Where the warehouse keeps the order's image."""
    return stack.stack.folder.inside("data", "warehouse", "images") / f"{order['image_digest']}.img"


def stored(file: Path) -> int:
    """Bytes that a sparse file takes; 0 when it isn't there."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _seen(customer: Customer, order_id: str, is_there: Callable[[], bool]) -> bool:
    """Returns within some milliseconds after the work came to its middle; False when it ended unseen."""
    end = time.monotonic() + PATIENCE_SECONDS
    look_at = time.monotonic() + 1
    pause = threading.Event()
    while not is_there():
        if time.monotonic() > look_at:
            if customer.order(order_id)["state"] == "written":
                return False
            look_at = time.monotonic() + 1
        assert time.monotonic() < end, f"the work never came to its middle: {customer.order(order_id)}"
        pause.wait(0.002)
    return True


@contextmanager
def _standing_still(pids: Sequence[int]) -> Iterator[None]:
    assert all(pids), "a service that is to stand still does not run"
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        wait_until("they stand still", lambda: all(_stands_still(pid) for pid in pids), PATIENCE_SECONDS)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # it was killed meanwhile
                os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    try:
        return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
    except OSError:  # one has just ended
        return False
