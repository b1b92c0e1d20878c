"""Another try on request, over a real MongoDB: what is good is kept, and asking twice is asking once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardshop.contract.errors import Conflict, TaskCanceled
from cardshop.contract.events import EventType, Failure
from scheduler.domain.states import AttemptState, OrderState, TaskState
from scheduler.shop import orders
from scheduler.shop.retrying import JUST_BEGUN, requeue, retry
from scheduler.store.outbox import LineKind
from tests.api import new_api
from tests.real_services import RealMongod
from tests.shop import a_draft, card_written
from tests.watched_shop import WatchedShop


@pytest.fixture
def shop(mongod: RealMongod) -> WatchedShop:
    return WatchedShop(mongod.uri)


def test_a_requeued_task_is_taken_from_its_worker_which_is_told_to_stop(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.sent(LineKind.TASK)

    requeue(shop.store, order.id, who="operator", why="it hangs")

    image = shop.image(order.id)
    assert (image.state, image.attempt, image.worker) == (TaskState.QUEUED, 2, None)
    assert image.attempts[0].state is AttemptState.TAKEN_AWAY
    assert any((line.who, line.why) == ("operator", "it hangs") for line in image.history)
    (stop,) = shop.sent(LineKind.STOP)
    assert (stop.node, stop.attempt) == ("creator-1@desk", 1)
    with pytest.raises(TaskCanceled):
        shop.claimed(held, "creator-1")


def test_a_second_click_does_not_take_it_from_who_has_just_begun(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    shop.claimed(shop.image(order.id), "creator-1")
    requeue(shop.store, order.id, who="operator")
    begun = shop.claimed(shop.image(order.id), "creator-2")

    requeue(shop.store, order.id, who="operator")

    assert shop.image(order.id) == begun
    shop.clock.forward(JUST_BEGUN + timedelta(seconds=1))
    requeue(shop.store, order.id, who="operator")
    assert shop.image(order.id).attempt == 3


def test_good_cards_stay_and_only_the_others_are_put_in_the_queue_anew(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft(quantity=2))
    shop.build(order.id)
    good, stuck = shop.store.tasks.of_order(order.id)[1:]
    done = shop.claimed(good, good.worker or "")
    shop.tell(done, EventType.TASK_SUCCEEDED, body=card_written("A"))
    shop.claimed(stuck, stuck.worker or "")

    requeue(shop.store, order.id, who="operator")

    image, kept, again = shop.store.tasks.of_order(order.id)
    assert (image.attempt, kept.attempt, again.attempt) == (1, 1, 2)
    assert kept.state is TaskState.SUCCEEDED
    assert shop.store.orders.get(order.id).state is OrderState.WRITING


def test_what_is_done_or_canceled_is_not_put_in_the_queue(shop: WatchedShop) -> None:
    built = orders.place(shop.store, a_draft(quantity=0))
    shop.build(built.id)
    with pytest.raises(Conflict, match="left to do"):
        requeue(shop.store, built.id, who="operator")

    canceled = orders.place(shop.store, a_draft(image_digest="cd" * 32))
    orders.cancel(shop.store, canceled.id, who="operator")
    for ask in (requeue, retry):
        with pytest.raises(Conflict, match="canceled"):
            ask(shop.store, canceled.id, who="operator")


def test_a_retry_asked_twice_is_one_new_attempt(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.tell(held, EventType.TASK_FAILED, body=Failure("card-failed", "The card died."))

    retry(shop.store, order.id, who="operator")
    retry(shop.store, order.id, who="operator")

    assert shop.image(order.id).attempt == 2


def test_a_retry_where_nothing_failed_is_refused(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    shop.claimed(shop.image(order.id), "creator-1")

    with pytest.raises(Conflict, match="failed"):
        retry(shop.store, order.id, who="operator")


def test_a_person_need_not_wait_for_the_pause_before_the_next_try(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.tell(held, EventType.TASK_FAILED, body=Failure("unavailable", "Away.", retryable=True))
    assert shop.image(order.id).state is TaskState.PENDING

    retry(shop.store, order.id, who="operator")

    assert (shop.image(order.id).state, shop.image(order.id).attempt) == (TaskState.QUEUED, 2)


@pytest.mark.parametrize(("who", "status"), [("operator", 200), ("admin", 200), ("client", 403)])
def test_the_api_lets_those_requeue_who_may_retry(mongod: RealMongod, who: str, status: int) -> None:
    api = new_api(mongod.uri)
    order = orders.place(api.store, a_draft(owner="client"))

    for _ in range(2):
        answer = api.call("POST", f"/v1/orders/{order.id}/requeue", {"why": "it hangs"}, who=who)
        assert answer.status == status
