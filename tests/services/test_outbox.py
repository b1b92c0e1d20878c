"""The outbox in a real database: lines are leased once, in the order of each task, and wait when refused."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from scheduler.store.outbox import LEASE, LineKind, OutboxLine
from scheduler.store.store import Store
from tests.real_services import RealMongod
from tests.shop import Clock, new_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


def write(store: Store, *lines: str) -> None:
    """Writes lines, each in a transaction of its own; ``a2``: the second message of task ``a``."""
    for name in lines:
        line = OutboxLine(LineKind.TASK, name[0], "create", name)
        store.transaction(partial(store.outbox.add, [line]))


def names(lines: list[OutboxLine]) -> list[str]:
    return [line.name for line in lines]


def test_lines_are_leased_in_the_order_in_which_they_were_written(store: Store) -> None:
    write(store, "a1", "b1", "c1")

    assert names(store.outbox.lease("one")) == ["a1", "b1", "c1"]


def test_the_lines_of_a_task_keep_their_order_though_clocks_differ(store: Store, clock: Clock) -> None:
    write(store, "a1")
    clock.forward(timedelta(seconds=-40))
    write(store, "a2", "a3")
    clock.forward(timedelta(seconds=40))

    assert names(store.outbox.lease("one")) == ["a1", "a2", "a3"]


def test_a_line_waits_until_the_one_before_it_is_sent(store: Store, clock: Clock) -> None:
    write(store, "a1")
    first = store.outbox.lease("one")
    write(store, "a2", "b1")

    assert names(store.outbox.lease("other")) == ["b1"]
    clock.forward(timedelta(seconds=2))
    assert store.outbox.lease("other") == []
    store.outbox.mark_sent(first)
    clock.forward(timedelta(seconds=2))
    assert names(store.outbox.lease("other")) == ["a2"]


def test_the_lines_of_a_killed_publisher_go_to_another_in_their_order(store: Store, clock: Clock) -> None:
    write(store, "a1", "a2", "b1")
    store.outbox.lease("killed")
    assert store.outbox.lease("other") == []

    clock.forward(LEASE)

    assert names(store.outbox.lease("other")) == ["a1", "a2", "b1"]


def test_a_late_confirm_counts_though_another_has_the_line_by_now(store: Store, clock: Clock) -> None:
    write(store, "a1")
    late = store.outbox.lease("slow")
    clock.forward(LEASE)
    again = store.outbox.lease("other")

    store.outbox.mark_sent(late)
    store.outbox.give_back(again, "other")

    assert store.outbox.waiting() == 0


def test_a_refused_line_waits_longer_each_time_and_holds_up_its_own_task_only(
    store: Store, clock: Clock
) -> None:
    write(store, "a1", "a2", "b1")
    waits = []
    for _ in range(8):
        (refused, *rest) = store.outbox.lease("one")
        assert refused.name == "a1"
        store.outbox.postpone(refused, "one", "no queue takes it")
        store.outbox.mark_sent([line for line in rest if line.name == "b1"])
        store.outbox.give_back(rest, "one")
        seconds = 0
        while "a1" not in names(peek := store.outbox.lease("peek")):
            assert peek == []
            clock.forward(timedelta(seconds=1))
            seconds += 1
        store.outbox.give_back(peek, "peek")
        waits.append(seconds)

    assert waits == sorted(waits)
    assert 1 < waits[0] < 5
    assert waits[-1] == 60


def test_a_line_that_nobody_waits_for_is_dropped(store: Store) -> None:
    write(store, "a1", "a2")
    first, _ = lines = store.outbox.lease("one")

    store.outbox.drop(first, "no queue takes it")
    store.outbox.give_back(lines, "one")

    assert names(store.outbox.lease("one")) == ["a2"]


def test_a_new_line_is_told_of_at_once_and_a_known_one_is_not(store: Store, clock: Clock) -> None:
    known: set[str] = set()
    with store.outbox.changes() as changes:
        write(store, "a1", "b1")
        known.update(line.id for line in store.outbox.lease("one"))
        write(store, "c1")
        changes.wait(known)

        assert names(store.outbox.lease("one")) == ["c1"]
    assert known == set()


def test_lines_that_were_sent_long_ago_are_deleted_and_waiting_ones_never(store: Store, clock: Clock) -> None:
    write(store, "a1", "b1")
    lines = store.outbox.lease("one", 1)
    store.outbox.mark_sent(lines)
    clock.forward(timedelta(days=40))

    assert store.outbox.drop_sent_before(clock()) == 1
    assert names(store.outbox.lease("one")) == ["b1"]
