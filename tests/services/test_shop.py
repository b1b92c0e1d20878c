"""Orders and tasks over a real MongoDB: all or nothing, once, and never backward."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cardshop.contract.errors import Conflict, MessageRejected, NotAllowed, TaskCanceled, Unavailable
from cardshop.contract.events import EventType, Failure, Log
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import orders, retrying, tasks
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store
from tests.real_services import RealMongod
from tests.shop import DIGEST, Clock, a_draft, card_written, image_built, new_store, told


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


def sent(store: Store) -> list[tuple[str, str, str]]:
    """All lines of the outbox, as (kind, task, queue)."""
    lines = []
    while leased := store.outbox.lease("test"):
        lines += [(line.kind.value, line.task_id, line.queue) for line in leased]
        store.outbox.mark_sent(leased)
    return lines


def claimed(store: Store, task: Task, worker: str) -> Task:
    role = Role.CREATOR if worker.startswith("creator") else Role.WRITER
    return claim(store, task.id, task.attempt, worker=worker, role=role).task


def build_image(store: Store, order: Order) -> None:
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    fold_event(store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator-1")


def write_card(store: Store, task: Task) -> None:
    assert task.worker is not None
    held = claimed(store, task, task.worker)
    slot = held.worker or ""
    done = told(held, EventType.TASK_SUCCEEDED, body=card_written(slot))
    fold_event(store, done, sender=task.worker)


def test_an_order_is_stored_with_its_tasks_and_the_message_for_the_creators(store: Store) -> None:
    order = orders.place(store, a_draft(quantity=3))

    kept = store.tasks.of_order(order.id)
    assert [task.state for task in kept] == [TaskState.QUEUED, *[TaskState.PENDING] * 3]
    assert sent(store) == [("task", kept[0].id, "create")]
    assert order.state is OrderState.ACCEPTED


def test_a_transaction_that_fails_leaves_nothing_behind(store: Store) -> None:
    placed = orders.place(store, a_draft())
    sent(store)

    def fail_at_the_end(session: Any) -> None:
        store.orders.insert(replace(placed, id="half", number=-1), session)
        store.outbox.add([OutboxLine(LineKind.REVOKE, placed.id)], session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.transaction(fail_at_the_end)

    assert store.orders.page(owner=None)[1] == 1
    assert store.outbox.waiting() == 0


def test_the_same_idempotency_key_orders_once_even_at_the_same_moment(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        placed = list(pool.map(lambda _: orders.place(store, a_draft(), idempotency_key="click-1"), range(4)))

    assert len({order.id for order in placed}) == 1
    assert store.orders.page(owner=None)[1] == 1


def test_a_key_that_was_used_for_something_else_places_nothing(store: Store) -> None:
    orders.place(store, a_draft(), idempotency_key="click-1", asked="two cards")

    with pytest.raises(Conflict, match="Order 1 "):
        orders.place(store, a_draft(), idempotency_key="click-1", asked="three cards")

    assert store.orders.page(owner=None)[1] == 1


def test_a_built_image_gives_one_card_to_each_writer(store: Store) -> None:
    order = orders.place(store, a_draft(quantity=2))
    sent(store)

    build_image(store, order)

    cards = store.tasks.of_order(order.id)[1:]
    assert sorted(task.worker or "" for task in cards) == ["writer-1", "writer-2"]
    assert sorted(queue for _, _, queue in sent(store)) == ["write.writer-1", "write.writer-2"]
    assert store.orders.get(order.id).state is OrderState.BUILT


def test_cards_are_counted_by_units_not_by_messages(store: Store) -> None:
    order = orders.place(store, a_draft(quantity=2))
    build_image(store, order)
    first, second = store.tasks.of_order(order.id)[1:]

    write_card(store, first)
    assert store.orders.get(order.id).state is OrderState.WRITING
    write_card(store, second)

    assert store.orders.get(order.id).state is OrderState.WRITTEN


def test_the_report_that_is_folded_twice_releases_the_cards_once(store: Store) -> None:
    order = orders.place(store, a_draft())
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    sent(store)
    report = told(image, EventType.TASK_SUCCEEDED, body=image_built())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: fold_event(store, report, sender="creator-1"), range(2)))

    assert len(sent(store)) == 2


def test_cards_wait_for_a_writer_and_get_it_when_one_comes(store: Store) -> None:
    for name in ("writer-1", "writer-2"):
        store.workers.seen(name, Role.WRITER, f"{name}@desk", online=False)
    order = orders.place(store, a_draft(quantity=1))
    build_image(store, order)
    assert store.tasks.of_order(order.id)[1].state is TaskState.PENDING

    store.workers.seen("writer-2", Role.WRITER, "writer-2@desk", online=True)
    dispatch(store)

    assert store.tasks.of_order(order.id)[1].worker == "writer-2"


def test_an_image_that_is_kept_is_not_built_again(store: Store) -> None:
    build_image(store, orders.place(store, a_draft()))
    sent(store)

    again = orders.place(store, a_draft(quantity=1))

    assert again.state is OrderState.BUILT
    assert [kind for kind, _, queue in sent(store) if queue == "create"] == []


def test_cancel_stops_what_runs_and_refuses_what_waits(store: Store) -> None:
    order = orders.place(store, a_draft())
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    sent(store)

    canceled = orders.cancel(store, order.id, who="operator")
    orders.cancel(store, order.id, who="operator")

    assert canceled.state is OrderState.CANCELED
    assert sent(store) == [(LineKind.REVOKE.value, image.id, "")]
    assert [task.state for task in store.tasks.of_order(order.id)] == [
        TaskState.STOPPING,
        TaskState.CANCELED,
        TaskState.CANCELED,
    ]


def test_a_late_success_does_not_revive_a_canceled_order(store: Store) -> None:
    order = orders.place(store, a_draft())
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    orders.cancel(store, order.id, who="operator")
    sent(store)

    fold_event(store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator-1")

    assert store.orders.get(order.id).state is OrderState.CANCELED
    assert store.tasks.get(image.id).state is TaskState.CANCELED
    assert sent(store) == []


def test_a_worker_that_asks_anew_for_a_task_that_is_stopping_confirms_the_stop(store: Store) -> None:
    order = orders.place(store, a_draft())
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    orders.cancel(store, order.id, who="operator")

    with pytest.raises(TaskCanceled):
        claimed(store, image, "creator-1")

    assert store.tasks.get(image.id).state is TaskState.CANCELED


def test_retry_tries_what_failed_and_keeps_what_is_good(store: Store) -> None:
    order = orders.place(store, a_draft(quantity=2))
    build_image(store, order)
    good, bad = store.tasks.of_order(order.id)[1:]
    write_card(store, good)
    held = claimed(store, bad, bad.worker or "")
    died = told(held, EventType.TASK_FAILED, body=Failure("card-failed", "The card died."))
    fold_event(store, died, sender=bad.worker or "")
    failed = store.orders.get(order.id)
    assert failed.state is OrderState.FAILED
    assert failed.failure is not None
    assert failed.failure["sentence"] == "The card died."
    sent(store)

    retrying.retry(store, order.id, who="operator")

    assert [(task.state, task.attempt) for task in store.tasks.of_order(order.id)[1:]] == [
        (TaskState.SUCCEEDED, 1),
        (TaskState.QUEUED, 2),
    ]
    assert [task_id for _, task_id, _ in sent(store)] == [bad.id]
    retrying.retry(store, order.id, who="operator")
    assert store.tasks.get(bad.id).attempt == 2


def test_only_a_written_order_can_be_shipped(store: Store) -> None:
    order = orders.place(store, a_draft(quantity=1))

    with pytest.raises(Conflict):
        orders.ship(store, order.id, who="operator", tracking="")

    build_image(store, order)
    write_card(store, store.tasks.of_order(order.id)[1])
    assert orders.ship(store, order.id, who="operator", tracking="X1").state is OrderState.SHIPPED
    with pytest.raises(Conflict):
        orders.cancel(store, order.id, who="operator")


def test_a_task_that_is_worked_on_is_not_given_to_another_before_it_is_quiet(
    store: Store, clock: Clock
) -> None:
    image = store.tasks.of_order(orders.place(store, a_draft()).id)[0]
    held = claimed(store, image, "creator-1")

    with pytest.raises(Unavailable):
        claimed(store, image, "creator-2")
    clock.forward(tasks.QUIET_BEFORE_TAKEOVER + timedelta(seconds=1))
    taken = claimed(store, image, "creator-2")

    assert (taken.worker, taken.claim) == ("creator-2", held.claim + 1)
    late = told(held, EventType.TASK_SUCCEEDED, body=image_built())
    fold_event(store, late, sender="creator-1")
    assert store.tasks.get(image.id).state is TaskState.STARTED


def test_its_own_worker_gets_the_task_again_at_once_after_a_restart(store: Store) -> None:
    image = store.tasks.of_order(orders.place(store, a_draft()).id)[0]
    claimed(store, image, "creator-1")

    assert claimed(store, image, "creator-1").claim == 2


def test_a_finished_task_and_an_old_attempt_can_not_be_claimed(store: Store) -> None:
    order = orders.place(store, a_draft())
    build_image(store, order)
    image = store.tasks.of_order(order.id)[0]

    with pytest.raises(TaskCanceled):
        claimed(store, image, "creator-1")
    with pytest.raises(TaskCanceled):
        claim(store, image.id, 7, worker="creator-1", role=Role.CREATOR)


def test_a_writer_can_not_claim_an_image(store: Store) -> None:
    image = store.tasks.of_order(orders.place(store, a_draft()).id)[0]

    with pytest.raises(NotAllowed):
        claim(store, image.id, 1, worker="writer-1", role=Role.WRITER)


def test_a_forged_event_is_rejected_and_changes_nothing(store: Store) -> None:
    image = claimed(store, store.tasks.of_order(orders.place(store, a_draft()).id)[0], "creator-1")
    forged = told(image, EventType.TASK_SUCCEEDED, body=image_built(), hostname="creator-2@desk")

    with pytest.raises(MessageRejected):
        fold_event(store, forged, sender="creator-2")
    with pytest.raises(MessageRejected, match="tells of"):
        fold_event(store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator-2")

    assert store.tasks.get(image.id).state is TaskState.STARTED


def test_a_log_line_told_twice_is_kept_once(store: Store) -> None:
    image = claimed(store, store.tasks.of_order(orders.place(store, a_draft()).id)[0], "creator-1")
    line = told(image, EventType.TASK_LOG, body=Log(("fetching faq.zim",)))

    fold_event(store, line, sender="creator-1")
    fold_event(store, line, sender="creator-1")

    assert [entry.lines for entry in store.task_logs.of_task(image.id)] == [["fetching faq.zim"]]


def test_two_publishers_never_lease_the_same_line(store: Store, clock: Clock) -> None:
    store.outbox.add(OutboxLine(LineKind.REVOKE, f"task-{number}") for number in range(20))

    with ThreadPoolExecutor(4) as pool:
        leased = list(pool.map(lambda n: store.outbox.lease(f"publisher-{n}", 3), range(20)))

    ids = [line.id for lines in leased for line in lines]
    assert len(ids) == len(set(ids))
    while late := store.outbox.lease("late"):
        ids += [line.id for line in late]
    assert len(ids) == len(set(ids)) == 20
    clock.forward(timedelta(minutes=1))
    assert len(store.outbox.lease("after the lease ran out")) == 20


def test_each_change_of_an_image_is_kept_and_a_move_that_its_table_lacks_is_refused(store: Store) -> None:
    build_image(store, orders.place(store, a_draft(quantity=0)))

    store.images.deleted(DIGEST, None)  # nobody had asked for that
    assert store.images.kept(DIGEST)
    assert store.images.give_up(DIGEST, store.clock() + timedelta(days=1), None)
    assert not store.images.give_up(DIGEST, store.clock() + timedelta(days=1), None)
    store.images.deleted(DIGEST, None)

    (image,) = store.images.every()
    assert [(line["who"], line["to_state"]) for line in image["history"]] == [
        ("creator-1", "kept"),
        ("beat", "deleting"),
        ("warehouse", "deleted"),
    ]
