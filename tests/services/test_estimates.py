"""An order's place in the queue and its estimate, over a real MongoDB."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.domain.dispatching import Priority
from scheduler.domain.estimates import BASE_BYTES, GUESSES
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.tasks import TaskKind
from scheduler.shop import orders
from scheduler.shop.control import hold
from scheduler.shop.estimates import NOTHING, Expectation, Place, expect
from scheduler.store.store import Store
from tests.api import new_api
from tests.queues import at_work, begun, build, placed, write
from tests.real_services import RealMongod
from tests.shop import Clock, a_draft, new_store

BYTES = BASE_BYTES + 1000
"""Of an order as the tests place it."""


def guess(kind: TaskKind) -> float:
    return GUESSES[kind].fixed_seconds + BYTES / GUESSES[kind].bytes_a_second


IMAGE, CARD = guess(TaskKind.CREATE), guess(TaskKind.WRITE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


def expected(store: Store, order: Order) -> Expectation:
    return expect(store, store.orders.get(order.id), store.tasks.of_order(order.id))


def seconds(store: Store, order: Order) -> float:
    ready_at = expected(store, order).ready_at
    assert ready_at is not None
    return (ready_at - store.clock()).total_seconds()


def test_a_place_counts_the_orders_that_go_first(store: Store) -> None:
    for _ in range(3):
        placed(store, "a")
    fourth, of_another, urgent = (
        placed(store, "a"),
        placed(store, "b"),
        placed(store, "a", priority=Priority.HIGH),
    )

    places = [expected(store, order).place for order in (urgent, of_another, fourth)]

    assert places == [Place(TaskKind.CREATE, number, 3) for number in (1, 2, 3)]


def test_an_order_that_is_at_a_worker_has_no_place(store: Store) -> None:
    order = placed(store)

    assert expected(store, order).place is None


def test_without_a_past_an_order_takes_its_image_and_its_cards_by_the_guess(store: Store) -> None:
    assert seconds(store, placed(store, quantity=2)) == pytest.approx(IMAGE + CARD, abs=0.01)


def test_an_order_waits_for_the_images_before_its_own(store: Store) -> None:
    first = [placed(store) for _ in range(3)]
    last = placed(store, quantity=0)
    assert seconds(store, last) == pytest.approx(3 * IMAGE / 2 + IMAGE, abs=0.01)

    build(store, first[0])
    build(store, first[1])

    assert expected(store, last).place is None  # it is at the broker now
    assert seconds(store, last) < 2 * IMAGE


def test_the_past_teaches_how_long_a_card_takes(store: Store) -> None:
    order = placed(store, quantity=8)
    build(store, order)
    for _ in range(3):
        (task, *_) = at_work(store, TaskKind.WRITE)
        write(store, task, seconds={"download": 10.0, "wait": 50.0, "write": 140.0})

    # Five are left for two writers, each 150 s of work and 50 s until its card is in.
    assert seconds(store, order) == pytest.approx(5 * 200.0 / 2, abs=0.1)


def test_the_rest_of_what_is_in_hand_grows_less_with_time(store: Store, clock: Clock) -> None:
    order = placed(store, quantity=0)
    begun(store, order)
    before = seconds(store, order)

    clock.forward(timedelta(seconds=20))

    assert seconds(store, order) == pytest.approx(before - 20, abs=0.01)


def test_an_order_whose_image_another_order_builds_is_ready_with_it(store: Store, clock: Clock) -> None:
    first = placed(store, "a", image_digest="6a" * 32, quantity=0)
    second = placed(store, "b", image_digest="6a" * 32, quantity=0)
    begun(store, first)
    clock.forward(timedelta(seconds=20))

    assert expected(store, second) == expected(store, first)


def test_what_stands_in_the_way_is_told_instead_of_a_time(store: Store, clock: Clock) -> None:
    held = placed(store)
    hold(store, held.id, who="operator")
    assert expected(store, held) == Expectation(None, None, "It is on hold.")

    for number in (1, 2):
        store.workers.seen(f"creator-{number}", Role.CREATOR, f"creator-{number}@desk", online=False)
    alone = placed(store)
    told_of = expected(store, alone)
    assert (told_of.ready_at, told_of.why) == (None, "No creator is there that takes work.")


def test_an_order_at_its_end_expects_nothing(store: Store) -> None:
    canceled, written = placed(store), placed(store)
    orders.cancel(store, canceled.id, who="operator")
    build(store, written)
    write(store, at_work(store, TaskKind.WRITE)[0])

    assert expected(store, canceled) == expected(store, written) == NOTHING


def test_the_api_tells_place_and_time(mongod: RealMongod) -> None:
    api = new_api(mongod.uri)
    api.store.workers.seen("creator", Role.CREATOR, "creator@desk", online=True)
    ids = [
        orders.place(api.store, a_draft(owner="client", image_digest=f"{n:064x}", quantity=0)).id
        for n in range(4)
    ]

    told_of = api.get(f"/v1/orders/{ids[3]}", who="client")["expected"]

    assert told_of["place"] == {"kind": "create", "place": 2, "orders": 2}
    assert told_of["ready_at"].endswith("Z")
    assert told_of["why"] == ""
