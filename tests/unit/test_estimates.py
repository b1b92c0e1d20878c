"""When an order will be ready: sensible without a past, and as the past was where there is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.estimates import (
    GUESSES,
    LEAST_LEFT,
    NEAREST,
    REMEMBERED,
    Ahead,
    Past,
    Work,
    duration,
    seconds_to_ready,
)
from scheduler.domain.tasks import TaskKind

GIGABYTE = 10**9
sizes = st.integers(1, 10**12)
pasts = st.lists(st.builds(Past, sizes, st.floats(0.1, 1e6), st.floats(0, 1e6)), max_size=50)


def minute(_: int) -> float:
    return 60.0


def ahead(**values: object) -> Ahead:
    nothing = Ahead(
        creators=1,
        writers=1,
        images_in_hand=[],
        images=[],
        own_image=None,
        cards_in_hand=[],
        cards=[],
        own_cards=[],
    )
    return replace(nothing, **values)  # type: ignore[arg-type]


def works(count: int, begun: float | None = None) -> list[Work]:
    return [Work(f"order-{number}", GIGABYTE, begun) for number in range(count)]


@pytest.mark.parametrize("kind", TaskKind)
@given(work_bytes=sizes)
def test_without_a_past_the_guess_counts(kind: TaskKind, work_bytes: int) -> None:
    guess = GUESSES[kind]

    assert duration(kind, [])(work_bytes) == guess.fixed_seconds + work_bytes / guess.bytes_a_second


@given(pasts, sizes)
def test_an_estimate_is_never_below_nothing(past: list[Past], work_bytes: int) -> None:
    assert duration(TaskKind.WRITE, past)(work_bytes) >= 0


@given(pasts, sizes, sizes)
def test_of_one_speed_more_bytes_take_longer(past: list[Past], one: int, other: int) -> None:
    seconds = duration(TaskKind.CREATE, past[:NEAREST])

    assert (seconds(one) <= seconds(other)) == (one <= other) or seconds(one) == seconds(other)


@given(sizes, st.floats(1, 1e6), st.integers(1, 30))
def test_what_always_took_the_same_takes_the_same_again(size: int, seconds: float, times: int) -> None:
    past = [Past(size, seconds)] * times

    assert duration(TaskKind.WRITE, past)(size) == pytest.approx(seconds)


@given(st.integers(1, 20), st.floats(10, 1e4), st.floats(1e6, 1e12))
def test_one_card_that_waited_over_a_weekend_makes_no_order_late(
    usual: int, seconds: float, outlier: float
) -> None:
    past = [Past(GIGABYTE, seconds, 30.0)] * (usual + 1) + [Past(GIGABYTE, outlier, outlier)] * usual

    assert duration(TaskKind.WRITE, past)(GIGABYTE) == pytest.approx(seconds + 30.0)


def test_tasks_of_the_same_size_count_and_not_those_of_another() -> None:
    small = [Past(GIGABYTE, 100.0)] * NEAREST
    large = [Past(100 * GIGABYTE, 50_000.0)] * NEAREST

    seconds = duration(TaskKind.WRITE, [*small, *large])

    assert seconds(GIGABYTE) == pytest.approx(100.0)
    assert seconds(100 * GIGABYTE) == pytest.approx(50_000.0)


def test_what_is_long_past_is_forgotten() -> None:
    newest_first = [Past(GIGABYTE, 100.0)] * REMEMBERED + [Past(GIGABYTE, 9000.0)] * REMEMBERED

    assert duration(TaskKind.WRITE, newest_first)(GIGABYTE) == pytest.approx(100.0)


def test_images_before_its_own_are_shared_by_the_creators() -> None:
    order = ahead(creators=2, images_in_hand=works(2), images=works(4), own_image=works(1)[0])

    assert seconds_to_ready(order, minute, minute) == 6 * 60 / 2 + 60


def test_the_cards_of_others_are_written_while_its_image_is_built() -> None:
    order = ahead(own_image=works(1)[0], cards=works(3), own_cards=works(1))

    assert seconds_to_ready(order, minute, minute) == 3 * 60 + 60
    quick = replace(order, cards=works(1))
    assert seconds_to_ready(quick, minute, minute) == 60 + 60


@given(st.integers(1, 50), st.integers(1, 10))
def test_its_cards_are_written_side_by_side_and_none_faster_than_a_card(cards: int, writers: int) -> None:
    seconds = seconds_to_ready(ahead(writers=writers, own_cards=works(cards)), minute, minute)

    assert seconds == pytest.approx(max(60.0, cards * 60 / min(writers, cards)))


def test_a_task_in_hand_has_its_rest_left_and_never_nothing() -> None:
    assert seconds_to_ready(ahead(own_cards=works(1, begun=45.0)), minute, minute) == pytest.approx(15.0)
    late = seconds_to_ready(ahead(own_cards=works(1, begun=1e6)), minute, minute)
    assert late == pytest.approx(LEAST_LEFT * 60)


def test_nobody_can_tell_while_no_worker_is_there_for_what_is_left() -> None:
    assert seconds_to_ready(ahead(creators=0, own_image=works(1)[0]), minute, minute) is None
    assert seconds_to_ready(ahead(writers=0, own_cards=works(1)), minute, minute) is None
    assert seconds_to_ready(ahead(creators=0, own_cards=works(1)), minute, minute) == 60
    assert seconds_to_ready(ahead(writers=0, own_image=works(1)[0]), minute, minute) == 60


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(0, 9))
def test_a_longer_queue_never_makes_an_order_ready_earlier(
    images: int, cards: int, own: int, more: int
) -> None:
    order = ahead(
        creators=2,
        writers=3,
        images=works(images),
        own_image=works(1)[0],
        cards=works(cards),
        own_cards=works(own),
    )
    longer = replace(order, images=works(images + more), cards=works(cards + more))

    now, then = (seconds_to_ready(each, minute, minute) for each in (order, longer))
    assert now is not None
    assert then is not None
    assert then >= now
