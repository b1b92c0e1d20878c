from __future__ import annotations

import time
from itertools import islice
from typing import Any

import pytest

from tests.chaos.faults import SINGLE, plan
from tests.chaos.shop import Placed, Wish, wishes
from tests.chaos.technician import Seen
from tests.chaos.verdict import Post, Verdict, judge

CREATORS = ("creator-1", "creator-2")
WRITERS = ("writer-1", "writer-2")
PLACED = Placed(Wish(number=0, recipe=0, cards=1, cancel_after=None), "a", time.monotonic())

ALL_SENT = Post()


def order(state: str = "written", serial: str = "card-1", task: str = "succeeded") -> dict[str, Any]:
    write = {"kind": "write", "unit": 1, "state": task, "outcome": {"card": {"serial": serial}, "slot": "A"}}
    image = {"kind": "create", "unit": 0, "state": "succeeded"}
    return {"id": "a", "state": state, "image_digest": "d", "failure": None, "tasks": [image, write]}


def verdict(
    orders: list[dict[str, Any]],
    seen: list[Seen],
    wished: int = 1,
    dead_letters: tuple[dict[str, Any], ...] = (),
    post: Post = ALL_SENT,
) -> Verdict:
    return judge([PLACED], orders, seen, wished=wished, dead_letters=dead_letters, post=post)


def test_a_seed_gives_the_same_faults_and_orders_again() -> None:
    assert list(islice(plan(3, CREATORS, WRITERS), 50)) == list(islice(plan(3, CREATORS, WRITERS), 50))
    assert list(islice(plan(3, CREATORS, WRITERS), 50)) != list(islice(plan(4, CREATORS, WRITERS), 50))
    assert wishes(3, 50) == wishes(3, 50)


def test_every_part_is_hit() -> None:
    faults = list(islice(plan(1, CREATORS, WRITERS), 200))

    assert {fault.service for fault in faults if not fault.cut} == {*SINGLE, *CREATORS, *WRITERS}
    assert {fault.service for fault in faults if fault.cut} == {*CREATORS, *WRITERS}


def test_an_order_with_its_whole_card_is_good() -> None:
    assert (
        verdict([order()], [Seen("card-1", "d", whole=True)]).line == "1 orders, 0 lost, 0 doubled, 0 stuck"
    )


@pytest.mark.parametrize(
    ("orders", "seen", "line"),
    [
        ([], [], "1 orders, 1 lost, 0 doubled, 0 stuck"),
        ([order("failed", task="failed")], [], "1 orders, 1 lost, 0 doubled, 0 stuck"),
        ([order()], [], "1 orders, 1 lost, 0 doubled, 0 stuck"),
        ([order()], [Seen("card-1", "d", whole=False)], "1 orders, 1 lost, 0 doubled, 0 stuck"),
        ([order("writing", task="started")], [], "1 orders, 0 lost, 0 doubled, 1 stuck"),
        (
            [order()],
            [Seen("card-1", "d", whole=True), Seen("card-2", "d", whole=True)],
            "1 orders, 0 lost, 1 doubled, 0 stuck",
        ),
        (
            [order(), {**order(), "id": "b"}],
            [Seen("card-1", "d", whole=True)],
            "1 orders, 0 lost, 1 doubled, 0 stuck",
        ),
    ],
)
def test_what_is_wrong_is_counted(orders: list[dict[str, Any]], seen: list[Seen], line: str) -> None:
    assert verdict(orders, seen).line == line


def test_an_order_that_was_never_accepted_and_a_dead_letter_count_too() -> None:
    good = [order()], [Seen("card-1", "d", whole=True)]

    assert verdict(*good, wished=2).line == "2 orders, 0 lost, 0 doubled, 1 stuck"
    assert verdict(*good, dead_letters=({"id": "x"},)).line == "1 orders, 1 lost, 0 doubled, 0 stuck"


@pytest.mark.parametrize(
    ("post", "line"),
    [
        (Post(("m", "n"), sent=2), "1 orders, 0 lost, 0 doubled, 0 stuck"),
        (Post(("m", "n"), sent=1, uncertain=1), "1 orders, 0 lost, 0 doubled, 0 stuck"),
        (Post(("m", "n", "m"), sent=2), "1 orders, 0 lost, 1 doubled, 0 stuck"),
        (Post(("m",), sent=2), "1 orders, 1 lost, 0 doubled, 0 stuck"),
        (Post(("m", "n"), sent=1), "1 orders, 0 lost, 1 doubled, 0 stuck"),
        (Post(("m",), sent=1, unsent=1), "1 orders, 0 lost, 0 doubled, 1 stuck"),
    ],
)
def test_a_mail_counts_as_an_order_does(post: Post, line: str) -> None:
    assert verdict([order()], [Seen("card-1", "d", whole=True)], post=post).line == line
