"""What the shop tries again by itself: what a retry can mend, after a pause, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardshop.contract.events import EventType, Failure
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.retrying import MOST_TRIES, pause_before
from scheduler.domain.states import OrderState, TaskState
from scheduler.shop import orders, retrying
from scheduler.shop.dispatching import dispatch
from tests.real_services import RealMongod
from tests.shop import a_draft
from tests.watched_shop import LIMITS, WatchedShop


@pytest.fixture
def shop(mongod: RealMongod) -> WatchedShop:
    return WatchedShop(mongod.uri)


def test_a_failure_that_a_retry_can_mend_is_tried_again_after_a_pause(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")

    away = Failure("unavailable", "The warehouse does not answer.", retryable=True)
    shop.tell(held, EventType.TASK_FAILED, body=away)

    assert shop.image(order.id).state is TaskState.PENDING
    assert shop.store.orders.get(order.id).state is OrderState.BUILDING
    assert dispatch(shop.store) == 0
    shop.clock.forward(pause_before(0))
    assert dispatch(shop.store) == 1
    image = shop.image(order.id)
    assert (image.state, image.attempt) == (TaskState.QUEUED, 2)
    assert image.attempts[0].why == "The warehouse does not answer."


def test_a_failure_that_no_retry_can_mend_is_not_tried_again(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")

    shop.tell(held, EventType.TASK_FAILED, body=Failure("does-not-fit", "The contents are too large."))

    assert shop.image(order.id).state is TaskState.FAILED
    assert shop.store.orders.get(order.id).state is OrderState.FAILED


def test_tries_come_to_an_end_and_a_person_can_begin_them_anew(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    away = Failure("unavailable", "The warehouse does not answer.", retryable=True)
    for tries in range(MOST_TRIES + 1):
        shop.clock.forward(pause_before(tries))
        dispatch(shop.store)
        held = shop.claimed(shop.image(order.id), "creator-1")
        shop.tell(held, EventType.TASK_FAILED, body=away)

    assert shop.image(order.id).state is TaskState.FAILED
    assert shop.store.orders.get(order.id).state is OrderState.FAILED
    retrying.retry(shop.store, order.id, who="operator")
    assert (shop.image(order.id).state, shop.image(order.id).tries) == (TaskState.QUEUED, 0)


def test_a_task_whose_every_attempt_ends_in_silence_is_given_up_and_told_of(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    for _ in range(MOST_TRIES + 1):
        shop.claimed(shop.image(order.id), "creator-1")
        assert shop.forward(LIMITS.task + timedelta(seconds=10)) == 1

    image = shop.image(order.id)
    assert image.state is TaskState.TIMED_OUT
    assert shop.store.orders.get(order.id).state is OrderState.FAILED
    assert shop.alarms(AlarmKind.TASK_GIVEN_UP) == [image.id]
    orders.cancel(shop.store, order.id, who="operator")
    shop.look()
    assert shop.alarms(AlarmKind.TASK_GIVEN_UP) == []
