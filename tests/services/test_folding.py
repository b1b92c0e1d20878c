"""Batches of events in a real MongoDB: whatever comes twice, late, together or from two sides."""

from __future__ import annotations

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cardshop.contract.events import Event, EventType, Log, Progress
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import orders
from scheduler.shop.folding import Told, fold_events
from scheduler.shop.tasks import claim
from scheduler.store.store import Store
from tests.real_services import RealMongod
from tests.shop import a_draft, add_workers, image_built, new_store, told


@pytest.fixture
def store(mongod: RealMongod) -> Store:
    store = new_store(mongod.uri)
    add_workers(store, Role.CREATOR, 10)
    add_workers(store, Role.WRITER, 12)
    return store


def a_claimed_image(store: Store) -> Task:
    draft = a_draft(image_digest=uuid.uuid4().hex * 2)
    image = store.tasks.of_order(orders.place(store, draft).id)[0]
    return claim(store, image.id, 1, worker="creator-1", role=Role.CREATOR).task


def whole_work(task: Task, steps: int) -> list[Event]:
    """Progress, a log line with each tenth, then success."""
    events = []
    for done in range(1, steps):
        events.append(
            told(task, EventType.TASK_PROGRESS, seq=2 * done, body=Progress("fetch", done, steps, "bytes"))
        )
        if done % 10 == 0:
            events.append(told(task, EventType.TASK_LOG, seq=2 * done + 1, body=Log((f"step {done}",))))
    events.append(told(task, EventType.TASK_SUCCEEDED, seq=2 * steps, body=image_built(task.image_digest)))
    return events


WORKING = Progress("fetch", 1, 30, "bytes")


def progress_of(task: Task) -> object:
    return task.progress and {name: value for name, value in task.progress.items() if name != "at"}


def lines_of(store: Store, task: Task) -> list[list[str]]:
    return [part.lines for part in store.task_logs.of_task(task.id)]


def by_creator(events: list[Event], sender: str = "creator-1") -> list[Told]:
    return [Told(event, sender) for event in events]


def test_a_batch_holds_the_whole_life_of_a_task(store: Store) -> None:
    image = a_claimed_image(store)

    refused = fold_events(store, by_creator(whole_work(image, 50)))

    task = store.tasks.get(image.id)
    assert refused == {}
    assert task.state is TaskState.SUCCEEDED
    assert task.progress is not None
    assert task.progress["done"] == 49
    assert store.orders.get(image.order_id).state in {OrderState.BUILT, OrderState.WRITING}
    assert [part.lines for part in store.task_logs.of_task(image.id)] == [
        [f"step {done}"] for done in (10, 20, 30, 40)
    ]


def test_a_batch_that_is_folded_again_changes_nothing(store: Store) -> None:
    image = a_claimed_image(store)
    batch = by_creator(whole_work(image, 20))
    fold_events(store, batch)
    before = (store.tasks.of_order(image.order_id), store.orders.get(image.order_id), store.outbox.waiting())

    assert fold_events(store, batch) == {}

    assert before == (
        store.tasks.of_order(image.order_id),
        store.orders.get(image.order_id),
        store.outbox.waiting(),
    )
    assert len(store.task_logs.of_task(image.id)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_monitors_that_fold_pieces_of_the_same_tasks_at_once_end_as_one_would(
    store: Store, seed: int
) -> None:
    shuffled = random.Random(seed)  # noqa: S311 - an order, not a secret
    images = [a_claimed_image(store) for _ in range(6)]
    events = by_creator([event for image in images for event in whole_work(image, 40)])
    pieces = []
    for start in range(0, len(events), 25):
        piece = events[start : start + 25] + events[start // 2 : start // 2 + 5]  # some of them again
        shuffled.shuffle(piece)
        pieces.append(piece)
    shuffled.shuffle(pieces)

    with ThreadPoolExecutor(4) as monitors:
        refused = list(monitors.map(lambda piece: fold_events(store, piece), pieces))

    assert not any(refused)
    for image in images:
        task = store.tasks.get(image.id)
        assert task.state is TaskState.SUCCEEDED
        assert task.folded == (1, 1, 80)
        assert [change.to_state for change in task.history].count("succeeded") == 1
        assert len(store.task_logs.of_task(image.id)) == 3
        cards = store.tasks.of_order(image.order_id)[1:]
        assert [card.state for card in cards] == [TaskState.QUEUED, TaskState.QUEUED]


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_ends_as_its_events_would_one_by_one(store: Store, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    together, alone = a_claimed_image(store), a_claimed_image(store)
    places = [place for place in range(len(whole_work(together, 30))) if chance.random() < 0.7]
    chance.shuffle(places)
    places += places[:5]

    def events(task: Task) -> list[Told]:
        whole = whole_work(task, 30)
        forged = told(task, EventType.TASK_PROGRESS, seq=99, hostname="creator-2@desk", body=WORKING)
        told_of = [Told(whole[place], "creator-1") for place in places]
        return [*told_of[:10], Told(forged, "creator-2"), *told_of[10:]]

    refused = fold_events(store, events(together))
    refused_alone = [fold_events(store, [event]) for event in events(alone)]

    assert list(refused) == [place for place, each in enumerate(refused_alone) if each] == [10]
    one, other = store.tasks.get(together.id), store.tasks.get(alone.id)
    assert (one.state, one.folded, progress_of(one)) == (other.state, other.folded, progress_of(other))
    assert [change.to_state for change in one.history] == [change.to_state for change in other.history]
    assert lines_of(store, one) == lines_of(store, other)


def test_in_a_batch_only_what_must_not_be_believed_is_refused(store: Store) -> None:
    image = a_claimed_image(store)
    good = told(image, EventType.TASK_PROGRESS, seq=5, body=Progress("fetch", 5, 9, "bytes"))
    forged_log = told(image, EventType.TASK_LOG, seq=6, hostname="creator-2@desk", body=Log(("forged",)))
    batch = [
        Told(good, "creator-1"),
        Told(replace(good, hostname="creator-2@desk", seq=6), "creator-2"),
        Told(good, "creator-2"),
        Told(replace(good, task_id="no-such-task"), "creator-1"),
        Told(replace(good, hostname="nobody@desk"), "nobody"),
        Told(replace(good, hostname="writer-1@desk", seq=7), "writer-1"),
        Told(forged_log, "creator-2"),
        Told(replace(good, seq=8, body=Progress("fetch", 8, 9, "bytes")), "creator-1"),
    ]

    refused = fold_events(store, batch)

    assert sorted(refused) == [1, 2, 3, 4, 5, 6]
    task = store.tasks.get(image.id)
    assert (task.folded, (task.progress or {})["done"]) == ((1, 1, 8), 8)
    assert store.task_logs.of_task(image.id) == []


def test_a_cancel_in_the_middle_of_a_batch_is_not_undone(store: Store) -> None:
    image = a_claimed_image(store)
    events = by_creator(whole_work(image, 30))
    fold_events(store, events[:10])

    orders.cancel(store, image.order_id, who="operator")
    fold_events(store, events[10:])

    assert store.tasks.get(image.id).state is TaskState.CANCELED
    assert store.orders.get(image.order_id).state is OrderState.CANCELED


def test_a_worker_whose_account_is_disabled_is_believed_no_more_and_its_task_goes_to_another(
    store: Store,
) -> None:
    task = a_claimed_image(store)
    store.users.change("creator-1", {"disabled": True})
    succeeded = told(task, EventType.TASK_SUCCEEDED, body=image_built(task.image_digest))
    beats = replace(told(task, EventType.WORKER_HEARTBEAT), task_id=None, attempt=0, claim=0)
    heard = [seen.last_seen for seen in store.workers.every() if seen.username == "creator-1"]

    refused = fold_events(store, [Told(succeeded, "creator-1"), Told(beats, "creator-1")])

    assert {place: error.field for place, error in refused.items()} == {0: "user_id"}
    assert store.tasks.get(task.id) == task
    assert [seen.last_seen for seen in store.workers.every() if seen.username == "creator-1"] == heard
