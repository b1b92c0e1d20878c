"""Whose turn it is: priorities, fair shares, first come first served; held against any sequence of orders."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.dispatching import (
    Priority,
    Standing,
    Waiting,
    WriterLoad,
    in_turn,
    places_at_creators,
    places_at_writers,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def waiting(number: int, channel: str = "a", priority: Priority = Priority.NORMAL, **more: object) -> Waiting:
    unit = more.get("unit", 0)
    digest = str(more.get("image_digest", f"image-{number}"))
    assert isinstance(unit, int)
    at = NOON + timedelta(seconds=number)
    return Waiting(f"task-{number}-{unit}", f"order-{number}", number, unit, priority, channel, digest, at)


priorities = st.sampled_from(Priority)
channels = st.sampled_from("abcd")
queues = st.lists(st.tuples(channels, priorities), max_size=30).map(
    lambda drawn: [waiting(number, channel, priority) for number, (channel, priority) in enumerate(drawn)]
)
standings = st.dictionaries(
    channels,
    st.builds(
        Standing,
        st.integers(0, 5),
        st.none() | st.integers(-100, 100).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    ),
)


@given(queues, standings)
def test_every_task_gets_its_turn_once(queue: list[Waiting], had: dict[str, Standing]) -> None:
    assert sorted(task.task_id for task in in_turn(queue, had)) == sorted(task.task_id for task in queue)


@given(queues, standings, st.randoms())
def test_the_order_does_not_depend_on_how_the_tasks_were_read(
    queue: list[Waiting], had: dict[str, Standing], random: object
) -> None:
    shuffled = list(queue)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert list(in_turn(shuffled, had)) == list(in_turn(queue, had))


@given(queues, standings)
def test_a_higher_priority_goes_first_and_a_channel_first_come_first_served(
    queue: list[Waiting], had: dict[str, Standing]
) -> None:
    turns = list(in_turn(queue, had))

    for earlier, later in itertools.pairwise(turns):
        assert earlier.priority >= later.priority
    for channel in "abcd":
        for priority in Priority:
            lane = [task.place for task in turns if (task.channel, task.priority) == (channel, priority)]
            assert lane == sorted(lane)


@given(queues, standings)
def test_the_next_turn_is_of_a_channel_that_has_no_more_in_hand_than_another_that_waits(
    queue: list[Waiting], had: dict[str, Standing]
) -> None:
    in_hand = Counter({channel: standing.in_hand for channel, standing in had.items()})
    left = list(queue)

    for task in in_turn(queue, had):
        rivals = {other.channel for other in left if other.priority is task.priority}
        assert in_hand[task.channel] == min(in_hand[channel] for channel in rivals)
        in_hand[task.channel] += 1
        left.remove(task)


@given(st.lists(channels, min_size=1, max_size=40), st.integers(1, 3))
def test_a_channel_that_waits_sees_every_other_at_most_once_a_worker_before_its_own_turn(
    orders: list[str], workers: int
) -> None:
    """One worker after another becomes free, and each turn is decided anew from what is kept."""
    queue = [waiting(number, channel) for number, channel in enumerate(orders)]
    now = NOON + timedelta(hours=1)
    had: dict[str, Standing] = {}
    at_work: list[str] = []
    served: list[str] = []
    since: dict[str, int] = dict.fromkeys(orders, 0)

    while queue:
        if len(at_work) == workers:
            done = at_work.pop(0)
            had[done] = Standing(had[done].in_hand - 1, had[done].served_at)
        task = next(in_turn(queue, had))
        queue.remove(task)
        now += timedelta(seconds=1)
        had[task.channel] = Standing(had.get(task.channel, Standing()).in_hand + 1, now)
        at_work.append(task.channel)
        for other in {left.channel for left in queue} - {task.channel}:
            between = [*served[since[other] :], task.channel]
            # A channel that has a task at a worker already stands behind those that have none.
            assert max(Counter(between).values()) <= workers
        served.append(task.channel)
        since[task.channel] = len(served)


def test_an_order_of_a_thousand_cards_does_not_keep_another_client_waiting() -> None:
    queue = [waiting(1, "big", unit=unit) for unit in range(1, 1001)] + [waiting(2, "small", unit=1)]

    assert [task.channel for task in in_turn(queue, {"big": Standing(4, NOON)})][:2] == ["small", "big"]


def test_a_new_channel_does_not_overtake_one_that_waits_longer_for_its_turn() -> None:
    had = {"old": Standing(0, NOON - timedelta(hours=1))}

    assert next(in_turn([waiting(1, "old"), waiting(2, "new")], had)).channel == "old"


def test_one_task_an_image_goes_and_the_others_wait_for_what_it_makes() -> None:
    queue = [waiting(number, channel, image_digest="same") for number, channel in enumerate("abc")]

    assert [task.order_number for task in in_turn(queue, {}, one_an_image=True)] == [0]


def test_creators_have_one_task_each_and_one_is_ahead() -> None:
    assert [places_at_creators(2, in_hand) for in_hand in range(5)] == [3, 2, 1, 0, 0]


def test_nothing_goes_to_creators_that_are_not_there() -> None:
    assert places_at_creators(0, 0) == 0


def test_each_free_writer_gets_one_card() -> None:
    writers = [WriterLoad("writer-1", 1), WriterLoad("writer-2", 0), WriterLoad("writer-3", 0)]

    assert places_at_writers(writers) == ["writer-2", "writer-3"]
