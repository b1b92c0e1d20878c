"""What an order's page says, from the API's answer alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cardshop.contract.events import Phase
from manager.display import TONES, ago, by_phase, duration, phase_name, size
from manager.order_view import view
from scheduler.domain.states import OrderState, TaskState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_task(kind: str, state: str, unit: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": f"{kind}-{unit}", "kind": kind, "unit": unit, "state": state, "worker": "writer-1", **more}


def an_order(state: str, *tasks: dict[str, Any], quantity: int = 2, **more: Any) -> dict[str, Any]:
    return {"state": state, "quantity": quantity, "tasks": list(tasks), "history": [], **more}


def test_cards_are_counted_one_by_one() -> None:
    order = an_order(
        "writing",
        a_task("create", "succeeded"),
        a_task("write", "succeeded", 1),
        a_task("write", "started", 2),
    )

    shown = view(order)

    assert shown.verified == 1
    assert shown.now == "1 of 2 cards verified so far."
    assert not shown.final
    assert not shown.can_ship


def test_a_card_that_is_asked_for_is_named_with_its_writer() -> None:
    order = an_order(
        "writing", a_task("create", "succeeded"), a_task("write", "waiting-for-card", slot="left")
    )

    shown = view(order)

    assert shown.now == "Insert a card: left of writer-1 is waiting."


def test_a_canceled_order_is_watched_until_its_tasks_have_stopped() -> None:
    stopping = view(an_order("canceled", a_task("create", "stopping")))
    stopped = view(an_order("canceled", a_task("create", "canceled")))

    assert not stopping.final
    assert stopped.final


def test_a_failed_order_shows_how_far_it_came_and_offers_a_retry() -> None:
    history = [{"to": "accepted"}, {"to": "building"}, {"to": "writing"}, {"to": "failed"}]
    order = an_order("failed", a_task("create", "succeeded"), a_task("write", "failed"), history=history)

    shown = view(order)

    assert shown.steps[shown.step] == "writing"
    assert shown.can_retry
    assert not shown.can_cancel


def test_an_order_for_a_download_ends_when_it_is_built() -> None:
    order = an_order("built", a_task("create", "succeeded"), quantity=0, image_digest="a" * 64)

    shown = view(order)

    assert shown.final
    assert shown.steps[-1] == "built"
    assert shown.can_download


@pytest.mark.parametrize("state", [*OrderState, *TaskState])
def test_every_state_of_the_scheduler_has_a_colour(state: str) -> None:
    assert str(state) in TONES


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 B"),
        (1000, "1.0 kB"),
        (1_420_000_000, "1.4 GB"),
        (245_760_000_000, "246 GB"),
    ],
)
def test_sizes_read_as_on_the_label_of_a_card(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=3, seconds=50), "3 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=20), "9 Feb 2026"),
    ],
)
def test_times_read_as_people_say_them(step: timedelta, text: str) -> None:
    assert ago(NOW - step, NOW) == text


def test_a_length_of_time_has_no_more_digits_than_matter() -> None:
    assert [duration(seconds) for seconds in (0.31, 59.2, 125, 7260)] == [
        "0.3 s",
        "59 s",
        "2 min 5 s",
        "2 h 1 min",
    ]


def test_phases_are_told_in_the_order_of_the_work() -> None:
    assert [phase for phase, _ in by_phase({"upload": 1.0, "fetch": 2.0, "build": 3.0})] == [
        "fetch",
        "build",
        "upload",
    ]


@pytest.mark.parametrize("phase", [Phase.CLAIM, Phase.CHECK])
def test_a_phase_that_images_and_cards_have_is_named_for_both(phase: Phase) -> None:
    assert not {"image", "card"} & set(phase_name(phase).lower().split())
