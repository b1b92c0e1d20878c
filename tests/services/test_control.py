"""What a person says about the queue, over a real MongoDB: hold, release, priority; twice, and at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cardshop.contract.errors import Conflict
from cardshop.contract.events import EventType, Failure
from scheduler.domain.dispatching import Priority
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.shop import orders, retrying
from scheduler.shop.control import hold, release, set_priority
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import fold_event
from scheduler.store.store import Store
from tests.queues import at_work, begun, build, image_of, placed, write
from tests.real_services import RealMongod
from tests.shop import Clock, new_store, same_store, told


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


def test_nothing_of_an_order_on_hold_goes_to_workers_until_it_is_released(store: Store) -> None:
    running = [placed(store) for _ in range(3)]
    held, after = placed(store), placed(store)
    hold(store, held.id, who="operator", why="the school asked")

    build(store, running[0])

    assert image_of(store, held).state is TaskState.PENDING
    assert image_of(store, after).state is TaskState.QUEUED
    build(store, running[1])
    release(store, held.id, who="operator")
    assert image_of(store, held).state is TaskState.QUEUED


def test_what_a_worker_has_goes_on_and_the_cards_wait(store: Store) -> None:
    order = placed(store, quantity=2)
    begun(store, order)
    hold(store, order.id, who="operator")

    build(store, order)

    assert [task.state for task in store.tasks.of_order(order.id)] == ["succeeded", "pending", "pending"]
    release(store, order.id, who="operator")
    assert [task.state for task in store.tasks.of_order(order.id)] == ["succeeded", "queued", "queued"]


def test_hold_and_release_asked_twice_are_kept_once_with_who_when_and_why(store: Store) -> None:
    order = placed(store)

    for _ in range(2):
        hold(store, order.id, who="operator", why="no cards left")
    held = store.orders.get(order.id)
    for _ in range(2):
        release(store, order.id, who="admin", why="cards came")

    lines = [(line.event, line.who, line.why) for line in store.orders.get(order.id).history]
    assert held.hold is not None
    assert (held.hold.who, held.hold.at, held.hold.why) == ("operator", store.clock(), "no cards left")
    assert lines[1:] == [("hold", "operator", "no cards left"), ("release", "admin", "cards came")]


def test_the_same_hold_asked_by_many_at_once_is_kept_once(store: Store, clock: Clock) -> None:
    order = placed(store)
    schedulers = [same_store(store, clock) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: hold(schedulers[n % 4], order.id, who=f"operator-{n}"), range(8)))

    assert [line.event for line in store.orders.get(order.id).history].count("hold") == 1


def test_a_hold_and_a_round_at_once_end_with_a_task_that_is_either_held_or_handed_out(
    store: Store, clock: Clock
) -> None:
    for name in ("creator-1", "creator-2"):
        store.workers.seen(name, "creator", f"{name}@desk", online=False)
    waiting = [placed(store) for _ in range(6)]
    for name in ("creator-1", "creator-2"):
        store.workers.seen(name, "creator", f"{name}@desk", online=True)
    schedulers = [same_store(store, clock) for _ in range(2)]

    with ThreadPoolExecutor(7) as pool:
        rounds = pool.map(lambda n: dispatch(schedulers[n]), range(2))
        holds = pool.map(lambda order: hold(store, order.id, who="operator"), waiting[:5])
        list(rounds), list(holds)

    assert all(task.held for order in waiting[:5] for task in store.tasks.of_order(order.id))
    assert store.outbox.waiting() == len(at_work(store)) <= 3
    for order in waiting[:5]:
        release(store, order.id, who="operator")
    assert len(at_work(store)) == 3


def test_a_task_that_is_tried_again_stays_on_hold(store: Store) -> None:
    order = placed(store)
    task = begun(store, order)
    hold(store, order.id, who="operator")
    failure = Failure("mirror-refused", "The mirror does not answer.")
    fold_event(store, told(task, EventType.TASK_FAILED, body=failure), sender="creator-1")

    retrying.retry(store, order.id, who="operator")

    assert image_of(store, order).state is TaskState.PENDING
    release(store, order.id, who="operator")
    assert image_of(store, order).state is TaskState.QUEUED


def test_a_changed_priority_moves_an_order_before_those_that_came_earlier(store: Store) -> None:
    running = [placed(store) for _ in range(3)]
    first, second = placed(store), placed(store)

    for _ in range(2):
        set_priority(store, second.id, Priority.URGENT, who="operator", why="a fair begins")
    build(store, running[0])

    assert image_of(store, second).state is TaskState.QUEUED
    assert image_of(store, first).state is TaskState.PENDING
    lines = [(line.event, line.who, line.why) for line in store.orders.get(second.id).history]
    assert lines[1:] == [("priority", "operator", "urgent: a fair begins")]


def test_an_order_at_its_end_takes_neither_hold_nor_priority(store: Store) -> None:
    canceled, written = placed(store), placed(store)
    orders.cancel(store, canceled.id, who="operator")
    build(store, written)
    write(store, at_work(store, TaskKind.WRITE)[0])

    for order in (canceled, written):
        with pytest.raises(Conflict):
            hold(store, order.id, who="operator")
        with pytest.raises(Conflict):
            set_priority(store, order.id, Priority.HIGH, who="operator")
        assert release(store, order.id, who="operator").hold is None


def test_a_canceled_order_that_was_on_hold_hands_out_nothing_when_it_is_released(store: Store) -> None:
    running = [placed(store) for _ in range(3)]
    order = placed(store)
    hold(store, order.id, who="operator")
    orders.cancel(store, order.id, who="operator")
    build(store, running[0])

    release(store, order.id, who="operator")

    assert image_of(store, order).state is TaskState.CANCELED


def test_the_place_that_an_order_takes_on_release_is_its_old_one(store: Store) -> None:
    running = [placed(store) for _ in range(3)]
    held, later = placed(store), placed(store)
    hold(store, held.id, who="operator")
    release(store, held.id, who="operator")

    build(store, running[0])

    assert image_of(store, held).state is TaskState.QUEUED
    assert image_of(store, later).state is TaskState.PENDING
