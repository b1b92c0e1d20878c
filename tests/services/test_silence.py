"""Silence over a real MongoDB: who tells nothing for too long loses its tasks, once, and people are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from cardshop.contract.errors import TaskCanceled
from cardshop.contract.events import Card, Event, EventType, Progress, SlotChanged, Waiting
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.silence import HEARING, MONITOR_SILENT, MOST_WAITING
from scheduler.domain.states import AttemptState, OrderState, SlotState, TaskState
from scheduler.shop import orders
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.outbox import STOP_AGAIN, LineKind
from tests.real_services import RealMongod
from tests.shop import a_draft, card_written, image_built
from tests.watched_shop import LIMITS, WatchedShop

STEP = timedelta(seconds=1)


@pytest.fixture
def shop(mongod: RealMongod) -> WatchedShop:
    return WatchedShop(mongod.uri)


def slot_changed(worker: str, at: datetime, slot: str = "A") -> Event:
    return Event(
        type=EventType.SLOT_CHANGED,
        hostname=f"{worker}@desk",
        timestamp=at.timestamp(),
        task_id=None,
        attempt=0,
        claim=0,
        seq=0,
        body=SlotChanged(slot, Card("card-1", 8_000_000_000)),
    )


def test_a_worker_without_a_heartbeat_is_shown_as_silent_and_told_of_once(shop: WatchedShop) -> None:
    shop.silent = {"creator-1"}

    shop.forward(LIMITS.worker - STEP)
    assert shop.state("creator-1") == "online"
    shop.forward(2 * STEP)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: shop.look(), range(8)))

    assert shop.state("creator-1") == "silent"
    assert shop.alarms(AlarmKind.WORKER_SILENT) == ["creator-1"]
    assert shop.store.alarms.page(open_only=False)[1] == 1


def test_the_alarm_ends_when_the_worker_is_heard_of_again(shop: WatchedShop) -> None:
    shop.silent = {"creator-1"}
    shop.forward(LIMITS.worker + STEP)
    shop.silent = set()

    shop.store.workers.seen("creator-1", Role.CREATOR, "creator-1@desk", online=True)
    shop.look()

    assert shop.state("creator-1") == "online"
    assert shop.alarms(AlarmKind.WORKER_SILENT) == []
    (worker,) = [worker for worker in shop.store.workers.every() if worker.username == "creator-1"]
    assert [change.to_state for change in worker.history] == ["online", "silent", "online"]


def test_a_worker_that_said_that_it_ends_is_no_alarm(shop: WatchedShop) -> None:
    shop.store.workers.seen("creator-1", Role.CREATOR, "creator-1@desk", online=False)

    shop.forward(10 * LIMITS.worker)

    assert shop.state("creator-1") == "offline"
    assert shop.alarms(AlarmKind.WORKER_SILENT) == []


def test_a_silent_creators_task_becomes_a_new_attempt_for_another(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.sent(LineKind.TASK)
    shop.silent = {"creator-1"}

    timed_out = shop.forward(LIMITS.worker + timedelta(seconds=10))

    assert timed_out == 1
    image = shop.image(order.id)
    assert (image.state, image.attempt) == (TaskState.QUEUED, 2)
    assert [attempt.state for attempt in image.attempts] == [AttemptState.TIMED_OUT, AttemptState.OPEN]
    assert image.attempts[0].worker == "creator-1"
    assert shop.store.orders.get(order.id).state is OrderState.BUILDING
    (message,) = shop.sent(LineKind.TASK)
    assert message.message is not None
    assert message.message["attempt"] == 2
    assert shop.claimed(image, "creator-2").worker == "creator-2"
    with pytest.raises(TaskCanceled):
        shop.claimed(held, "creator-1")


def test_a_silent_writers_tasks_go_to_another_even_those_that_it_hadnt_begun(shop: WatchedShop) -> None:
    shop.store.workers.seen("writer-2", Role.WRITER, "writer-2@desk", online=False)
    order = orders.place(shop.store, a_draft(quantity=1))
    shop.build(order.id)
    assert shop.card(order.id).worker == "writer-1"
    shop.silent = {"writer-1"}

    shop.store.workers.seen("writer-2", Role.WRITER, "writer-2@desk", online=True)
    shop.forward(LIMITS.worker + timedelta(seconds=10))

    card = shop.card(order.id)
    assert (card.state, card.worker, card.attempt) == (TaskState.QUEUED, "writer-2", 2)
    assert card.tries == 0
    with pytest.raises(TaskCanceled):
        claim(shop.store, card.id, 1, worker="writer-1", role=Role.WRITER)


def test_a_writer_that_waits_for_a_card_may_wait_for_days_and_must_live(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft(quantity=1))
    shop.build(order.id)
    card = shop.claimed(shop.card(order.id), shop.card(order.id).worker or "")

    for _ in range(5):
        shop.tell(card, EventType.TASK_WAITING, body=Waiting("A", "Put a card into slot A."))
        assert shop.forward(LIMITS.task - STEP) == 0
    shop.tell(card, EventType.TASK_WAITING, body=Waiting("A", "Put a card into slot A."))
    shop.silent = {card.worker or ""}
    shop.forward(LIMITS.worker + timedelta(seconds=10))

    again = shop.card(order.id)
    assert again.attempt == 2
    assert again.worker not in (None, card.worker)


def test_a_task_that_makes_no_progress_times_out_though_its_worker_lives(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.forward(LIMITS.task - STEP)
    shop.tell(held, EventType.TASK_PROGRESS, body=Progress("build", 1, 2, "bytes"))
    assert shop.forward(2 * STEP) == 0
    shop.sent(LineKind.STOP)

    assert shop.forward(LIMITS.task) == 1

    assert shop.image(order.id).attempt == 2
    (stop,) = shop.sent(LineKind.STOP)
    assert (stop.task_id, stop.attempt, stop.node) == (held.id, 1, "creator-1@desk")


def test_two_sweeps_at_once_take_a_task_away_once(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    shop.claimed(shop.image(order.id), "creator-1")
    shop.silent = {"creator-1"}
    shop.forward(LIMITS.worker)
    shop.sent(LineKind.TASK)
    shop.clock.forward(timedelta(seconds=10))

    with ThreadPoolExecutor(4) as pool:
        timed_out = list(pool.map(lambda _: shop.look(), range(4)))

    assert sum(timed_out) == 1
    assert shop.image(order.id).attempt == 2
    assert len(shop.sent(LineKind.TASK)) == 1


def test_a_worker_that_comes_back_is_told_to_stop_and_not_believed(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    held = shop.claimed(shop.image(order.id), "creator-1")
    shop.silent = {"creator-1"}
    shop.forward(LIMITS.worker + timedelta(seconds=10))
    taken = shop.claimed(shop.image(order.id), "creator-2")
    shop.sent(LineKind.STOP)
    shop.clock.forward(STOP_AGAIN)

    for done in range(3):
        shop.tell(held, EventType.TASK_PROGRESS, body=Progress("build", done, 9, "bytes"))
    shop.tell(held, EventType.TASK_SUCCEEDED, body=image_built())

    assert shop.store.tasks.get(held.id) == taken
    (stop,) = shop.sent(LineKind.STOP)
    assert (stop.node, stop.attempt) == ("creator-1@desk", 1)


def test_a_worker_that_goes_on_with_a_canceled_task_is_told_again(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    shop.claimed(shop.image(order.id), "creator-1")
    orders.cancel(shop.store, order.id, who="operator")
    shop.sent(LineKind.REVOKE)

    shop.forward(timedelta(seconds=21))

    stops = shop.sent(LineKind.STOP)
    assert len(stops) == 2
    assert {stop.node for stop in stops} == {"creator-1@desk"}


def test_a_deaf_shop_takes_no_silence_for_a_proof(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    shop.claimed(shop.image(order.id), "creator-1")
    shop.deaf = True

    assert shop.forward(2 * LIMITS.task) == 0
    assert shop.alarms(AlarmKind.MONITOR_SILENT) == ["monitor"]
    shop.deaf = False
    shop.silent = {"creator-1", "creator-2"}
    assert shop.forward(LIMITS.worker - STEP) == 0

    assert shop.alarms(AlarmKind.MONITOR_SILENT) == []
    assert shop.state("creator-1") == "online"
    assert shop.forward(timedelta(seconds=10)) == 1
    assert shop.state("creator-1") == "silent"


def test_a_monitor_with_a_backlog_hears_nothing_new(shop: WatchedShop) -> None:
    shop.claimed(shop.image(orders.place(shop.store, a_draft()).id), "creator-1")
    shop.silent = {"creator-1"}

    for _ in range(20):
        shop.clock.forward(HEARING)
        assert shop.look(waiting_events=MOST_WAITING + 1) == 0

    assert shop.state("creator-1") == "online"


def test_silence_while_nobody_swept_proves_nothing(shop: WatchedShop) -> None:
    shop.claimed(shop.image(orders.place(shop.store, a_draft()).id), "creator-1")
    shop.silent = {"creator-1"}

    shop.clock.forward(10 * LIMITS.task)

    assert shop.look() == 0
    assert shop.state("creator-1") == "online"


def test_a_monitor_that_pauses_for_a_moment_is_no_alarm(shop: WatchedShop) -> None:
    shop.deaf = True

    shop.forward(MONITOR_SILENT - STEP)

    assert shop.alarms(AlarmKind.MONITOR_SILENT) == []


def test_a_slot_that_nothing_is_told_of_is_silent_until_it_is(shop: WatchedShop) -> None:
    fold_event(shop.store, slot_changed("writer-1", shop.clock.now), sender="writer-1")

    shop.forward(LIMITS.slot + timedelta(seconds=10))

    (slot,) = next(worker.slots for worker in shop.store.workers.every() if worker.username == "writer-1")
    assert slot.state is SlotState.SILENT
    assert shop.alarms(AlarmKind.SLOT_SILENT) == ["writer-1/A"]
    fold_event(shop.store, slot_changed("writer-1", shop.clock.now), sender="writer-1")
    shop.look()
    assert shop.alarms(AlarmKind.SLOT_SILENT) == []
    (slot,) = next(worker.slots for worker in shop.store.workers.every() if worker.username == "writer-1")
    assert [change.to_state for change in slot.history] == ["loaded", "silent", "loaded"]


def test_a_slot_whose_writers_clock_was_ahead_is_heard_when_it_is_set_right(shop: WatchedShop) -> None:
    ahead = shop.clock.now + timedelta(days=1)
    fold_event(shop.store, slot_changed("writer-1", ahead), sender="writer-1")

    shop.forward(LIMITS.slot - timedelta(seconds=10))
    fold_event(shop.store, slot_changed("writer-1", shop.clock.now), sender="writer-1")
    shop.forward(timedelta(seconds=20))

    (slot,) = next(worker.slots for worker in shop.store.workers.every() if worker.username == "writer-1")
    assert slot.state is SlotState.LOADED


def test_a_slot_that_its_writer_has_no_more_is_forgotten(shop: WatchedShop) -> None:
    fold_event(shop.store, slot_changed("writer-1", shop.clock.now, "old"), sender="writer-1")

    for _ in range(20):
        fold_event(shop.store, slot_changed("writer-1", shop.clock.now, "new"), sender="writer-1")
        shop.forward(timedelta(seconds=10))

    (slot,) = next(worker.slots for worker in shop.store.workers.every() if worker.username == "writer-1")
    assert slot.slot == "new"
    assert shop.alarms(AlarmKind.SLOT_SILENT) == []


def test_a_card_written_by_who_lost_the_task_does_not_count(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft(quantity=1))
    shop.build(order.id)
    held = shop.claimed(shop.card(order.id), shop.card(order.id).worker or "")
    shop.silent = {held.worker or ""}
    shop.forward(LIMITS.worker + timedelta(seconds=10))
    other = shop.claimed(shop.card(order.id), shop.card(order.id).worker or "")
    assert other.worker != held.worker

    shop.tell(held, EventType.TASK_SUCCEEDED, body=card_written("A"))
    assert shop.store.orders.get(order.id).state is OrderState.WRITING
    shop.tell(other, EventType.TASK_SUCCEEDED, body=card_written("B"))

    assert shop.store.orders.get(order.id).state is OrderState.WRITTEN
    assert (shop.card(order.id).outcome or {})["slot"] == "B"


def test_a_cards_message_that_the_broker_lost_is_sent_anew_as_another_attempt(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft(quantity=1))
    shop.build(order.id)
    lost = shop.card(order.id)
    shop.sent(LineKind.TASK)

    shop.forward(LIMITS.task - STEP)
    assert shop.card(order.id) == lost
    shop.forward(timedelta(seconds=20))

    card = shop.card(order.id)
    assert (card.state, card.attempt, card.tries) == (TaskState.QUEUED, 2, 0)
    assert [(line.message or {})["attempt"] for line in shop.sent(LineKind.TASK)] == [2]
    with pytest.raises(TaskCanceled):
        shop.claimed(lost, lost.worker or "")


def test_an_images_message_that_the_broker_lost_is_sent_anew_once_creators_idle(shop: WatchedShop) -> None:
    first = orders.place(shop.store, a_draft())
    building = shop.claimed(shop.image(first.id), "creator-1")
    shop.store.workers.seen("creator-2", Role.CREATOR, "creator-2@desk", online=False)
    second = orders.place(shop.store, a_draft(image_digest="cd" * 32))
    lost = shop.image(second.id)
    assert lost.state is TaskState.QUEUED

    for number in range(1, 20):  # the only creator works at the first for long: the second has to wait
        shop.forward(LIMITS.task / 3)
        shop.tell(building, EventType.TASK_PROGRESS, seq=number, body=Progress("build", number, 100, "steps"))
    assert shop.image(second.id) == lost
    shop.tell(building, EventType.TASK_SUCCEEDED, seq=20, body=image_built())
    shop.forward(LIMITS.task - STEP)
    assert shop.image(second.id) == lost
    shop.forward(timedelta(seconds=20))

    image = shop.image(second.id)
    assert (image.state, image.attempt, image.tries) == (TaskState.QUEUED, 2, 0)


def test_what_waits_at_a_broker_without_workers_is_not_taken_for_lost(shop: WatchedShop) -> None:
    order = orders.place(shop.store, a_draft())
    for name in ("creator-1", "creator-2"):
        shop.store.workers.seen(name, Role.CREATOR, f"{name}@desk", online=False)

    assert shop.forward(4 * LIMITS.task) == 0
    assert shop.image(order.id).attempt == 1
