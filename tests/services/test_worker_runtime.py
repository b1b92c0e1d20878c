"""The workers' runtime on a real RabbitMQ: whatever is killed, a task is done once and told of."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.domain.states import AttemptState, OrderState, TaskState
from scheduler.shop import orders, retrying
from tests.real_services import RealMongod, RealRabbit
from tests.shop import a_draft, new_store
from tests.workers import Shop, WorkerProcess, open_shop, reaches, until


@pytest.fixture
def shop(rabbit: RealRabbit, mongod: RealMongod, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(rabbit, new_store(mongod.uri), tmp_path) as shop:
        yield shop


def place(shop: Shop) -> str:
    # Each order has an image of its own: one that is kept would need no worker.
    return orders.place(shop.store, a_draft(quantity=0, image_digest=secrets.token_hex(32))).id


def begun(worker: WorkerProcess, times: int = 1) -> int:
    """Process id of the child that has the task for the ``times``-th time."""
    lines = until(f"work began {times} times", lambda: _at_least(worker.lines("begun"), times))
    return int(lines[times - 1][3])


def _at_least(lines: list[list[str]], count: int) -> list[list[str]] | None:
    return lines if len(lines) >= count else None


def working(shop: Shop, worker: WorkerProcess, order: str) -> int:
    """Process id of the child that has begun the order's task, which the whole shop knows of."""
    child = begun(worker)
    reaches(shop, order, TaskState.STARTED)
    # Else what follows might find the message on its way for a second time.
    until("its message is known to be sent", lambda: shop.store.outbox.waiting() == 0)
    return child


def finish(worker: WorkerProcess) -> None:
    (worker.journal / "finish").touch()


def test_a_task_is_claimed_done_and_told_of(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)

    begun(worker)
    task = reaches(shop, order, TaskState.STARTED)
    until("progress is told", lambda: shop.task(order).progress)
    finish(worker)
    task = reaches(shop, order, TaskState.SUCCEEDED)

    assert (task.worker, task.claim) == ("creator-1", 1)
    assert shop.store.orders.get(order).state is OrderState.BUILT
    assert task.outcome
    assert task.outcome["manifest_sha256"] == "e" * 64
    until("the log is kept", lambda: shop.store.task_logs.of_task(task.id))
    assert shop.store.dead_letters.waiting() == 0
    assert len(worker.lines("begun")) == 1


def test_a_failure_is_told_with_its_code_and_hint(shop: Shop) -> None:
    worker = shop.worker()
    (worker.journal / "fail").touch()
    finish(worker)
    order = place(shop)

    task = reaches(shop, order, TaskState.FAILED)

    assert task.error
    assert (task.error["code"], task.error["hint"]) == ("card-failed", "Try another.")


def test_a_canceled_task_is_ended_in_its_middle(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    working(shop, worker, order)

    orders.cancel(shop.store, order, who="operator")
    reaches(shop, order, TaskState.CANCELED)

    assert worker.lines("left")
    finish(worker)
    reaches(shop, place(shop), TaskState.SUCCEEDED)


def test_a_task_canceled_while_no_worker_was_there_is_not_begun(shop: Shop) -> None:
    canceled = place(shop)
    until("the message is in the queue", lambda: shop.queue()[0] == 1)
    orders.cancel(shop.store, canceled, who="operator")
    until("the request to stop it is sent", lambda: shop.store.outbox.waiting() == 0)

    worker = shop.worker()
    finish(worker)
    done = place(shop)
    reaches(shop, done, TaskState.SUCCEEDED)

    assert [line[1] for line in worker.lines("begun")] == [shop.task(done).id]
    assert shop.task(canceled).state is TaskState.CANCELED


@pytest.mark.parametrize("whom", ["worker", "child"])
def test_a_worker_killed_in_the_middle_of_its_task_goes_on_with_it(shop: Shop, whom: str) -> None:
    worker = shop.worker()
    order = place(shop)
    child = begun(worker)

    if whom == "child":
        os.kill(child, signal.SIGKILL)
    else:
        worker.signal(signal.SIGKILL)
        worker.wait()
        worker.start()
    begun(worker, times=2)
    finish(worker)
    task = reaches(shop, order, TaskState.SUCCEEDED)

    assert task.claim == 2
    assert shop.store.dead_letters.waiting() == 0


def test_a_killed_worker_takes_its_child_with_it(shop: Shop) -> None:
    worker = shop.worker()
    place(shop)
    child = begun(worker)

    worker.signal(signal.SIGKILL)
    worker.wait()

    until("the child is gone", lambda: not _alive(child))


def test_a_worker_that_is_stopped_gives_its_task_back(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    working(shop, worker, order)

    worker.signal(signal.SIGTERM)
    status = worker.wait()

    assert status == 0
    assert worker.lines("left")
    until("its message is in the queue again", lambda: shop.queue()[0] == 1)
    assert shop.task(order).state is TaskState.STARTED
    worker.start()
    begun(worker, times=2)
    finish(worker)
    reaches(shop, order, TaskState.SUCCEEDED)


def test_work_goes_on_while_rabbitmq_is_away_and_is_done_once(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    child = working(shop, worker, order)

    shop.rabbit.restart()
    until("the worker is connected again", lambda: shop.hears("creator-1"))
    until("it has its message again", lambda: shop.queue() == (0, 1))
    assert _alive(child)
    finish(worker)
    reaches(shop, order, TaskState.SUCCEEDED)

    # A second order shows that the first one's message is out of the way.
    reaches(shop, place(shop), TaskState.SUCCEEDED)
    assert len(worker.lines("begun")) == 2
    until("no message is left", lambda: shop.queue() == (0, 1))


def test_an_outcome_that_falls_into_an_outage_is_told_after_it(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    working(shop, worker, order)

    shop.rabbit.stop()
    finish(worker)
    until("the work is done", lambda: worker.lines("left"))
    shop.rabbit.start()

    reaches(shop, order, TaskState.SUCCEEDED)
    reaches(shop, place(shop), TaskState.SUCCEEDED)
    assert len(worker.lines("begun")) == 2


def test_a_task_after_an_outage_can_still_be_canceled(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    working(shop, worker, order)
    shop.rabbit.restart()
    # Its child, which tells the progress, has a connection of its own.
    until("the worker is connected again", lambda: shop.hears("creator-1"))
    until("progress comes again", lambda: _progresses(shop, order))

    orders.cancel(shop.store, order, who="operator")

    reaches(shop, order, TaskState.CANCELED)
    assert worker.lines("left")


def test_a_worker_whose_task_was_given_to_another_is_told_to_stop_and_only_that_one(shop: Shop) -> None:
    worker = shop.worker("creator-1")
    order = place(shop)
    working(shop, worker, order)
    other = shop.worker("creator-2")
    until("the other is there", lambda: "ready." in other.log)

    retrying.requeue(shop.store, order, who="operator")
    second = begun(worker, times=2)
    until("the first has left", lambda: worker.lines("left"))
    until("the second tells", lambda: shop.task(order).progress)
    assert _alive(second)
    finish(worker)
    task = reaches(shop, order, TaskState.SUCCEEDED)

    assert (task.attempt, task.worker) == (2, "creator-2")
    assert len(worker.lines("begun")) == len(worker.lines("left")) == 2
    assert shop.store.dead_letters.waiting() == 0


def test_a_worker_cut_off_while_its_task_was_taken_ends_it_and_begins_the_new_attempt(shop: Shop) -> None:
    worker = shop.worker()
    order = place(shop)
    working(shop, worker, order)

    shop.rabbit.stop()
    retrying.requeue(shop.store, order, who="operator")
    shop.rabbit.start()
    begun(worker, times=2)
    finish(worker)
    task = reaches(shop, order, TaskState.SUCCEEDED)

    assert (task.attempt, task.claim) == (2, 1)
    assert [attempt.state for attempt in task.attempts] == [AttemptState.TAKEN_AWAY, AttemptState.SUCCEEDED]
    assert shop.store.dead_letters.waiting() == 0


def test_a_claim_waits_for_a_scheduler_that_is_away(shop: Shop) -> None:
    worker = shop.worker()
    shop.door.shut()
    order = place(shop)
    until("the worker asks in vain", lambda: "can't claim" in worker.log)

    shop.door.open()
    finish(worker)

    reaches(shop, order, TaskState.SUCCEEDED)
    assert len(worker.lines("begun")) == 1


def test_what_was_told_while_the_monitor_was_down_is_folded_afterwards(shop: Shop) -> None:
    worker = shop.worker()
    shop.stop_monitor()
    order = place(shop)
    begun(worker)
    finish(worker)
    until("the work is done", lambda: worker.lines("left"))

    shop.start_monitor()

    reaches(shop, order, TaskState.SUCCEEDED)


def test_the_slots_are_told_of_without_a_task(shop: Shop) -> None:
    shop.worker()

    def slots() -> list[object]:
        return [worker.slots for worker in shop.store.workers.every() if worker.username == "creator-1"]

    until("the slot is known", lambda: any(slots()))


def _progresses(shop: Shop, order: str) -> bool:
    first = shop.task(order).progress
    return bool(until("progress", lambda: shop.task(order).progress != first))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
