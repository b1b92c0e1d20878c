"""A worker that is drained gets nothing new, over a real MongoDB and RabbitMQ; asked twice, and at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cardshop.contract.errors import NotFound, TaskCanceled, WorkerDrained
from cardshop.contract.events import Event, EventType, Waiting
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import fold_event
from scheduler.shop.maintenance import drain, resume
from scheduler.shop.tasks import claim
from scheduler.store.outbox import LineKind
from scheduler.store.store import Store
from tests.api import new_api
from tests.queues import at_work, begun, build, image_of, numbers, placed, write
from tests.real_services import RealMongod, RealRabbit
from tests.shop import Clock, new_store, same_store, told
from tests.workers import Shop, open_shop, reaches, until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    return new_store(mongod.uri, clock)


@pytest.fixture
def shop(rabbit: RealRabbit, mongod: RealMongod, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(rabbit, new_store(mongod.uri), tmp_path) as shop:
        yield shop


def writers(store: Store) -> set[str | None]:
    return {task.worker for task in at_work(store, TaskKind.WRITE)}


def consuming_lines(store: Store) -> list[str]:
    return [line.name for line in store.outbox.lease("test") if line.kind is LineKind.CONSUMING]


def test_a_drained_writer_gets_no_new_card_until_it_is_resumed(store: Store) -> None:
    drain(store, "writer-1", who="technician", why="a new reader")
    build(store, placed(store, quantity=3))
    assert writers(store) == {"writer-2"}

    resume(store, "writer-1", who="technician")

    assert writers(store) == {"writer-1", "writer-2"}


def test_what_a_writer_has_begun_it_ends_and_what_it_has_not_goes_to_another(store: Store) -> None:
    store.workers.seen("writer-2", Role.WRITER, "writer-2@desk", online=False)
    build(store, placed(store, quantity=2))
    (given,) = at_work(store, TaskKind.WRITE)
    store.workers.seen("writer-2", Role.WRITER, "writer-2@desk", online=True)
    dispatch(store)
    claim(store, given.id, given.attempt, worker="writer-1", role=Role.WRITER)
    second = next(task for task in at_work(store, TaskKind.WRITE) if task.worker == "writer-2")

    drain(store, "writer-1", who="technician")
    drain(store, "writer-2", who="technician")

    assert store.tasks.get(given.id).state is TaskState.STARTED
    back = store.tasks.get(second.id)
    assert (back.state, back.worker, back.attempt) == (TaskState.PENDING, None, 2)
    resume(store, "writer-2", who="technician")
    assert store.tasks.get(second.id).worker == "writer-2"


def test_a_card_that_is_waited_for_is_written_elsewhere_and_the_writer_told_to_stop(store: Store) -> None:
    build(store, placed(store))
    (given,) = at_work(store, TaskKind.WRITE)
    held = claim(store, given.id, 1, worker=given.worker or "", role=Role.WRITER).task
    asks = told(held, EventType.TASK_WAITING, body=Waiting("A", "The slot is empty."))
    fold_event(store, asks, sender=given.worker or "")

    drain(store, given.worker or "", who="technician")

    (elsewhere,) = at_work(store, TaskKind.WRITE)
    assert (elsewhere.id, elsewhere.attempt) == (given.id, 2)
    assert elsewhere.worker != given.worker
    stops = [line for line in store.outbox.lease("test") if line.kind is LineKind.STOP]
    assert [(line.task_id, line.attempt, line.node) for line in stops] == [
        (given.id, 1, f"{given.worker}@desk")
    ]


def test_drain_and_resume_asked_twice_are_kept_once_with_who_when_and_why(store: Store) -> None:
    for _ in range(2):
        drain(store, "creator-1", who="technician", why="a disk")
    for _ in range(2):
        resume(store, "creator-1", who="admin", why="done")

    (kept,) = store.drains.of_worker("creator-1")
    assert (kept.who, kept.at, kept.why) == ("technician", store.clock(), "a disk")
    assert (kept.ended_by, kept.ended_at, kept.ended_why) == ("admin", store.clock(), "done")
    assert len(consuming_lines(store)) >= 1


def test_the_same_drain_asked_by_many_at_once_is_kept_once(store: Store, clock: Clock) -> None:
    schedulers = [same_store(store, clock) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: drain(schedulers[n % 4], "writer-1", who=f"person-{n}"), range(8)))

    assert len(store.drains.of_worker("writer-1")) == 1


def test_a_drain_and_a_round_at_once_leave_a_drained_writer_with_nothing_new(
    store: Store, clock: Clock
) -> None:
    other = same_store(store, clock)
    order = placed(store, quantity=20)
    build(store, order)
    for _ in range(5):
        (first, *_) = at_work(store, TaskKind.WRITE)

        with ThreadPoolExecutor(2) as pool:
            written = pool.submit(write, store, first)
            drained = pool.submit(drain, other, first.worker or "", who="technician")
            drained.result()
            with contextlib.suppress(TaskCanceled, NotFound):  # the drain came first and took it back
                written.result()

        dispatch(store)
        assert first.worker not in writers(store)
        resume(store, first.worker or "", who="technician")


def test_a_worker_that_nobody_knows_can_not_be_drained(store: Store) -> None:
    store.users.add("ada", Role.OPERATOR, "no password")

    for name in ("nobody", "ada"):
        with pytest.raises(NotFound):
            drain(store, name, who="technician")


def test_a_drained_creator_counts_for_no_place_and_can_not_begin_a_task(store: Store) -> None:
    drain(store, "creator-1", who="technician")
    waiting = [placed(store) for _ in range(4)]
    assert numbers(store) == [1, 2]  # one creator, and one ahead

    with pytest.raises(WorkerDrained):
        begun(store, waiting[0], "creator-1")
    begun(store, waiting[0], "creator-2")

    assert image_of(store, waiting[0]).worker == "creator-2"


def test_a_drained_creator_that_was_started_anew_goes_on_with_what_it_had_begun(store: Store) -> None:
    order = placed(store)
    begun(store, order)
    drain(store, "creator-1", who="technician")

    assert begun(store, order).claim == 2


def test_a_drained_creator_that_comes_online_is_told_again(store: Store) -> None:
    drain(store, "creator-1", who="technician")
    assert consuming_lines(store) == ["creator-1"]
    came = Event(EventType.WORKER_ONLINE, "creator-1@desk", 0.0, None, 0, 0, 0, None)

    fold_event(store, came, sender="creator-1")

    assert store.outbox.waiting() == 2
    resume(store, "creator-1", who="technician")
    fold_event(store, came, sender="creator-1")
    assert store.outbox.waiting() == 3


@pytest.mark.parametrize(("who", "status"), [("client", 403), ("writer", 403), ("technician", 200)])
def test_technicians_drain_and_resume_workers_through_the_api(
    mongod: RealMongod, who: str, status: int
) -> None:
    api = new_api(mongod.uri)
    api.store.workers.seen("writer", Role.WRITER, "writer@desk", online=True)

    for _ in range(2):
        assert api.call("POST", "/v1/workers/writer/drain", {"why": "dust"}, who=who).status == status

    (worker,) = api.get("/v1/workers", who="technician")["items"]
    assert (worker["drain"] is not None) == (status == 200)
    if worker["drain"]:
        assert (worker["drain"]["who"], worker["drain"]["why"], worker["tasks"]) == (who, "dust", 0)
    assert api.call("POST", "/v1/workers/writer/resume", {}, who=who).status == status
    (worker,) = api.get("/v1/workers", who="technician")["items"]
    assert worker["drain"] is None
    assert api.get("/v1/workers/writer/drains", who="technician")["total"] == (status == 200)


def test_a_real_creator_takes_nothing_while_it_is_drained_also_after_a_restart(shop: Shop) -> None:
    shop.store.workers.seen("creator-2", Role.CREATOR, "creator-2@desk", online=False)
    worker = shop.worker()
    until("the creator is there", lambda: shop.queue()[1] == 1)
    drain(shop.store, "creator-1", who="technician")
    until("it was told", lambda: shop.store.outbox.waiting() == 0)
    # As if it had been handed out for another creator, which has gone.
    shop.store.workers.seen("creator-2", Role.CREATOR, "creator-2@desk", online=True)
    order = placed(shop.store, quantity=0)
    until("its message is there, and nobody takes it", lambda: shop.queue() == (1, 0))

    worker.stop()
    told_before = worker.log.count("Canceling queue")
    worker.start()
    # Until it was told again it may have the message for a while, and gives it back.
    until(
        "it takes none again",
        lambda: worker.log.count("Canceling queue") > told_before and shop.queue() == (1, 0),
    )
    assert shop.task(order.id).claim == 0
    assert worker.lines("begun") == []

    resume(shop.store, "creator-1", who="technician")
    (worker.journal / "finish").touch()
    reaches(shop, order.id, TaskState.SUCCEEDED)
    assert shop.task(order.id).worker == "creator-1"


def test_the_drain_of_a_creator_that_never_came_is_told_to_no_other(shop: Shop) -> None:
    shop.store.users.add("creator-9", Role.CREATOR, "no password")
    worker = shop.worker()
    until("the creator is there", lambda: shop.queue()[1] == 1)

    drain(shop.store, "creator-9", who="technician")
    resume(shop.store, "creator-9", who="technician")
    drain(shop.store, "creator-1", who="technician")  # told after that

    until("the one that is meant was told", lambda: "Canceling queue" in worker.log)
    placed(shop.store, quantity=0)
    until("it takes none", lambda: shop.queue() == (1, 0))
    # That it takes none it may be told twice, when it was seen to come only after its own drain.
    assert "Started consuming" not in worker.log
