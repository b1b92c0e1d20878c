"""Handing out work over a real MongoDB: in turn, no more than workers take, each image once; races too."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from cardshop.contract.events import EventType, Failure
from scheduler.domain.dispatching import Priority
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task, TaskKind
from scheduler.shop import orders, retrying
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.rounds import ROUND
from scheduler.store.store import Store
from tests.queues import at_work, begun, build, fail, image_of, numbers, placed, write
from tests.real_services import RealMongod
from tests.shop import Clock, add_workers, new_store, same_store, told


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


@contextmanager
def profiled(store: Store) -> Iterator[list[dict[str, Any]]]:
    """What MongoDB was asked meanwhile, as its profiler tells."""
    operations: list[dict[str, Any]] = []
    database = store._database
    database.drop_collection("system.profile")
    database.command("profile", 2)
    try:
        yield operations
    finally:
        database.command("profile", 0)
    ours = {"ns": {"$regex": r"^[^.]+\.(?!system)"}, "op": {"$ne": "command"}}
    commands = {"op": "command", "command.profile": {"$exists": False}}
    operations += database["system.profile"].find({"$or": [ours, commands]})


@contextmanager
def questions(store: Store) -> Iterator[Counter[str]]:
    """How often each collection was read meanwhile."""
    asked: Counter[str] = Counter()
    with profiled(store) as operations:
        yield asked
    # Of a bulk of updates the profiler has a line for each.
    asked.update(line["ns"].partition(".")[2] for line in operations if line["op"] != "update")


def creators_are(store: Store, *, online: bool) -> None:
    for name in ("creator-1", "creator-2"):
        store.workers.seen(name, Role.CREATOR, f"{name}@desk", online=online)


def test_no_more_images_go_to_the_broker_than_creators_take_soon(store: Store) -> None:
    waiting = [placed(store) for _ in range(6)]
    assert numbers(store) == [1, 2, 3]  # two creators, and one ahead

    build(store, waiting[1])

    assert numbers(store) == [1, 3, 4]
    assert store.outbox.waiting() == 5  # four images and a card


def test_a_writer_gets_its_next_card_when_it_is_done_with_the_one_before(store: Store) -> None:
    order = placed(store, quantity=5)
    build(store, order)
    first, second = at_work(store, TaskKind.WRITE)
    assert {first.worker, second.worker} == {"writer-1", "writer-2"}

    write(store, first)

    assert [(task.unit, task.worker) for task in at_work(store, TaskKind.WRITE)] == [
        (second.unit, second.worker),
        (3, first.worker),
    ]


def test_what_is_urgent_goes_first_and_what_can_wait_goes_last(store: Store) -> None:
    running = [placed(store) for _ in range(3)]
    placed(store, priority=Priority.LOW)
    placed(store)
    placed(store, priority=Priority.URGENT)

    order: list[int] = []
    for each in running:
        build(store, each)
        order.append(max(set(numbers(store)) - {*order, 1, 2, 3}))

    assert order == [6, 5, 4]


def test_a_client_with_many_orders_does_not_keep_another_waiting(store: Store) -> None:
    many = [placed(store, "big") for _ in range(8)]
    one = placed(store, "small")

    build(store, many[0])

    assert one.number in numbers(store)
    assert image_of(store, many[3]).state is TaskState.PENDING


def test_turns_go_on_as_they_were_when_the_scheduler_is_started_anew(store: Store, clock: Clock) -> None:
    """One creator, three clients: their turns stay round robin over restarts."""
    store.workers.seen("creator-2", Role.CREATOR, "creator-2@desk", online=False)
    by_number = {order.number: order for order in [placed(store, channel) for channel in "aaabbbccc"]}
    served: list[str] = []

    while at := at_work(store):
        first = min(at, key=lambda task: task.history[-1].at)
        served.append(first.channel)
        clock.forward(timedelta(minutes=1))
        store = same_store(store, clock)
        store.workers.seen("creator-1", Role.CREATOR, "creator-1@desk", online=True)
        build(store, by_number[first.order_number])

    # Two of the first client's went at once, since nobody else was there yet.
    assert "".join(served) == "aabacbcbc"


def test_two_schedulers_that_hand_out_at_once_give_no_task_twice_and_none_too_much(
    store: Store, clock: Clock
) -> None:
    schedulers = [same_store(store, clock) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        # Nobody takes work until all is placed: what is placed first would go before others are there.
        creators_are(store, online=False)
        list(pool.map(lambda n: placed(schedulers[n % 4], "abcd"[n % 4]), range(24)))
        creators_are(store, online=True)
        list(pool.map(lambda n: dispatch(schedulers[n % 4]), range(24)))

    given = at_work(store)
    assert len(given) == 3
    assert store.outbox.waiting() == 3
    assert len({task.channel for task in given}) == 3  # each of them another's


def test_the_order_holds_while_several_finish_and_place_at_once(store: Store, clock: Clock) -> None:
    """Whatever comes first: nobody is given more than fits, and a free place is never left empty."""
    schedulers = [same_store(store, clock) for _ in range(3)]
    waiting = [placed(store, random.Random(n).choice("abc")) for n in range(9)]  # noqa: S311

    def finish(pair: tuple[int, Task]) -> None:
        number, task = pair
        build(schedulers[number % 3], store.orders.get(task.order_id))

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(finish, enumerate(at_work(store))))
            list(pool.map(lambda n: placed(schedulers[n % 3], "d"), range(3)))
        assert len(at_work(store)) == 3

    assert len([task for order in waiting for task in store.tasks.of_order(order.id)]) == 18
    assert all(len(task.history) == len(set(task.history)) for task in at_work(store))


def test_a_scheduler_that_dies_in_a_round_keeps_nobody_waiting_for_long(store: Store, clock: Clock) -> None:
    store.rounds.ask()
    assert store.rounds.take("one that dies here") is not None
    order = placed(store)
    assert image_of(store, order).state is TaskState.PENDING

    clock.forward(ROUND)
    dispatch(store)

    assert image_of(store, order).state is TaskState.QUEUED


def test_a_round_whose_place_was_taken_hands_out_nothing(store: Store, clock: Clock) -> None:
    store.rounds.ask()
    slow = store.rounds.take("slow")
    clock.forward(ROUND)
    assert store.rounds.take("quick") == slow

    assert not store.transaction(lambda session: store.rounds.serve("slow", slow or 0, session))
    assert store.transaction(lambda session: store.rounds.serve("quick", slow or 0, session))


def test_a_round_asks_the_database_as_often_for_many_tasks_as_for_two(store: Store) -> None:
    creators_are(store, online=False)
    [placed(store) for _ in range(22)]

    store.workers.seen("creator-1", Role.CREATOR, "creator-1@desk", online=True)
    with questions(store) as for_two:
        assert dispatch(store) == 2
    add_workers(store, Role.CREATOR, 19)
    with questions(store) as for_many:
        assert dispatch(store) == 18

    assert sum(for_two.values()) > 5
    assert for_many == for_two


def test_no_question_of_a_round_reads_a_whole_collection(store: Store) -> None:
    order = placed(store, quantity=2)
    build(store, order)

    store.rounds.ask()
    with profiled(store) as operations:
        placed(store, quantity=2)

    read = [line for line in operations if "COLLSCAN" in line.get("planSummary", "")]
    assert {line["ns"].partition(".")[2] for line in read} <= {"rounds"}  # it has two documents


def test_tasks_wait_for_workers_and_go_when_one_comes(store: Store) -> None:
    for number in (1, 2):
        store.workers.seen(f"creator-{number}", Role.CREATOR, f"creator-{number}@desk", online=False)
    order = placed(store)
    assert image_of(store, order).state is TaskState.PENDING

    add_workers(store, Role.CREATOR, 1)
    dispatch(store)

    assert image_of(store, order).state is TaskState.QUEUED


def test_two_orders_of_one_recipe_build_its_image_once(store: Store) -> None:
    first, second = (placed(store, channel, image_digest="5a" * 32) for channel in "ab")
    assert numbers(store) == [first.number]

    build(store, first)

    assert image_of(store, second).state is TaskState.SUCCEEDED
    assert image_of(store, second).outcome == image_of(store, first).outcome
    assert {order.state for order in map(store.orders.get, (first.id, second.id))} == {OrderState.BUILT}
    assert numbers(store, TaskKind.WRITE) == [first.number, second.number]


def test_many_orders_of_one_recipe_at_the_same_moment_build_its_image_once(
    store: Store, clock: Clock
) -> None:
    schedulers = [same_store(store, clock) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(lambda n: placed(schedulers[n % 4], image_digest="5b" * 32), range(12)))
    (building,) = at_work(store)

    build(store, store.orders.get(building.order_id))

    assert {store.orders.get(order.id).state for order in same} == {OrderState.BUILT}
    assert {image_of(store, order).state for order in same} == {TaskState.SUCCEEDED}


def test_when_the_first_build_fails_the_second_order_builds_for_itself(store: Store) -> None:
    first, second = (placed(store, channel, image_digest="5c" * 32) for channel in "ab")

    fail(store, first)

    assert store.orders.get(first.id).state is OrderState.FAILED
    assert numbers(store) == [second.number]
    build(store, second)
    assert store.orders.get(second.id).state is OrderState.BUILT


def test_when_the_first_order_is_canceled_the_second_builds_once_that_creator_has_stopped(
    store: Store,
) -> None:
    first, second = (placed(store, channel, image_digest="5d" * 32) for channel in "ab")
    task = begun(store, first)

    orders.cancel(store, first.id, who="operator")
    assert image_of(store, second).state is TaskState.PENDING  # two would write into one file
    fold_event(store, told(task, EventType.TASK_REVOKED), sender="creator-1")

    assert image_of(store, second).state is TaskState.QUEUED


def test_when_the_first_order_is_canceled_before_it_began_the_second_builds_at_once(store: Store) -> None:
    first, second = (placed(store, channel, image_digest="5e" * 32) for channel in "ab")

    orders.cancel(store, first.id, who="operator")

    assert image_of(store, second).state is TaskState.QUEUED


def test_a_retried_order_takes_the_image_that_another_order_built_meanwhile(store: Store) -> None:
    first, second = (placed(store, channel, image_digest="5f" * 32) for channel in "ab")
    fail(store, first)
    build(store, second)

    retrying.retry(store, first.id, who="operator")

    assert store.orders.get(first.id).state is OrderState.BUILT
    assert image_of(store, first).state is TaskState.SUCCEEDED


def fail_without_image(store: Store, task: Task) -> None:
    held = claim(store, task.id, task.attempt, worker=task.worker or "", role=Role.WRITER).task
    failure = Failure("not-found", "The warehouse does not keep the image.")
    fold_event(store, told(held, EventType.TASK_FAILED, body=failure), sender=task.worker or "")


def test_an_image_that_is_gone_when_a_card_is_to_be_written_is_built_anew(store: Store) -> None:
    order = placed(store, quantity=3)
    build(store, order)
    first, second = at_work(store, TaskKind.WRITE)

    fail_without_image(store, first)

    image = image_of(store, order)
    assert (image.state, image.attempt, image.outcome) == (TaskState.QUEUED, 2, None)
    write(store, second)
    build(store, order)
    for task in at_work(store, TaskKind.WRITE):
        write(store, task)
    assert store.orders.get(order.id).state is OrderState.WRITTEN


def test_a_late_word_of_a_missing_image_does_not_lose_the_one_that_was_built_since(
    store: Store, clock: Clock
) -> None:
    order = placed(store, quantity=2)
    build(store, order)
    first, second = at_work(store, TaskKind.WRITE)
    held = claim(store, second.id, 1, worker=second.worker or "", role=Role.WRITER).task
    clock.forward(timedelta(seconds=1))
    fail_without_image(store, first)
    clock.forward(timedelta(seconds=1))
    build(store, order)

    failure = Failure("not-found", "The warehouse does not keep the image.")
    fold_event(store, told(held, EventType.TASK_FAILED, body=failure), sender=second.worker or "")

    assert image_of(store, order).state is TaskState.SUCCEEDED
    assert store.images.kept(order.draft.image_digest)


def test_an_order_that_reused_an_image_builds_it_when_it_was_deleted_before_its_cards(store: Store) -> None:
    build(store, placed(store, quantity=0, image_digest="6b" * 32))
    for name in ("writer-1", "writer-2"):
        store.workers.seen(name, Role.WRITER, f"{name}@desk", online=False)
    order = placed(store, image_digest="6b" * 32)
    assert store.orders.get(order.id).state is OrderState.BUILT

    store.transaction(lambda session: store.images.lose("6b" * 32, None, session))
    add_workers(store, Role.WRITER, 2)
    dispatch(store)

    assert at_work(store, TaskKind.WRITE) == []
    build(store, order)
    assert [task.order_number for task in at_work(store, TaskKind.WRITE)] == [order.number]
