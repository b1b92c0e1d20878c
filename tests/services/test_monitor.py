"""The monitor over a real RabbitMQ (TLS) and MongoDB: what is told arrives, what is forged does not."""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import amqp.exceptions
import pytest

from cardshop import queues
from cardshop.contract.events import EVENT_VERSION, outcome_to_wire
from monitor.app import Monitor
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import orders
from scheduler.shop.tasks import claim
from scheduler.store.dead_letters import DeadLetter
from scheduler.store.monitors import MonitorSeen
from scheduler.store.store import Store, wait_for
from tests.real_services import RealMongod, RealRabbit
from tests.shop import Clock, a_draft, add_workers, image_built, new_store, same_store
from tests.workers import ended, until


@pytest.fixture
def store(mongod: RealMongod, rabbit: RealRabbit) -> Store:
    rabbit.begin_anew()
    store = new_store(mongod.uri)
    add_workers(store, Role.CREATOR, 10)
    return store


def tell(rabbit: RealRabbit, username: str, *bodies: Any, user_id: str | None = "same") -> None:
    """Publishes events as ``username``."""
    properties = {} if user_id is None else {"user_id": username if user_id == "same" else user_id}
    with rabbit.patient_connection(username) as connection:
        producer = connection.Producer(exchange=queues.EVENT_EXCHANGE, auto_declare=False)
        for body in bodies:
            producer.publish(
                body if isinstance(body, str) else json.dumps(body),
                routing_key="task.any",
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
                **properties,
            )


@contextmanager
def monitoring(rabbit: RealRabbit, store: Store) -> Iterator[None]:
    stopped = threading.Event()
    monitor = Monitor(rabbit.connection("monitor"), store, stopped.wait)
    thread = threading.Thread(target=monitor.run)
    thread.start()
    try:
        yield
    finally:
        monitor.should_stop = True
        stopped.set()
        ended(thread)


def succeeds(store: Store, *images: Task) -> None:
    """Waits until it is folded that the images are built."""
    done = {TaskState.SUCCEEDED}
    until("all are built", lambda: {store.tasks.get(image.id).state for image in images} == done)


def letters(store: Store) -> list[DeadLetter]:
    return store.dead_letters.page()[0]


def a_claimed_image(store: Store) -> Task:
    draft = a_draft(image_digest=uuid.uuid4().hex * 2)
    image = store.tasks.of_order(orders.place(store, draft).id)[0]
    return claim(store, image.id, 1, worker="creator-1", role=Role.CREATOR).task


def success(task: Task) -> dict[str, Any]:
    return {
        "type": "task-succeeded",
        "uuid": task.id,
        "hostname": "creator-1@desk",
        "timestamp": 1.0,
        "version": EVENT_VERSION,
        "attempt": task.attempt,
        "claim": task.claim,
        "seq": 1,
        "outcome": outcome_to_wire(image_built(task.image_digest)),
    }


def progress(task: Task, *, seq: int) -> dict[str, Any]:
    body = {"phase": "fetch", "done": seq, "total": 100, "unit": "bytes"}
    return {**success(task), "type": "task-progress", "seq": seq, **body}


def test_an_outcome_told_while_no_monitor_ran_is_folded_later(rabbit: RealRabbit, store: Store) -> None:
    image = a_claimed_image(store)
    tell(rabbit, "creator-1", success(image))

    with monitoring(rabbit, store):
        succeeds(store, image)

    assert store.orders.get(image.order_id).state is OrderState.BUILT


def test_events_that_wait_survive_a_killed_rabbitmq(rabbit: RealRabbit, store: Store) -> None:
    image = a_claimed_image(store)
    tell(rabbit, "creator-1", success(image))
    rabbit.restart()

    with monitoring(rabbit, store):
        succeeds(store, image)


def test_rabbitmq_refuses_an_event_under_another_name(rabbit: RealRabbit, store: Store) -> None:
    image = a_claimed_image(store)

    with pytest.raises(amqp.exceptions.PreconditionFailed):
        tell(rabbit, "creator-2", success(image), user_id="creator-1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hostname": "creator-2@desk"}, "another worker's"),
        ({"version": 99}, "version 99"),
        ({"seq": "one"}, "seq must be of type int"),
        ({"type": "task-invented"}, "task-invented"),
        ({"uuid": "no-such-task"}, "no task no-such-task"),
    ],
)
def test_what_can_not_be_believed_or_understood_is_a_dead_letter(
    rabbit: RealRabbit, store: Store, change: dict[str, Any], why: str
) -> None:
    image = a_claimed_image(store)
    sender = str(change.get("hostname", "creator-1@desk")).partition("@")[0]
    tell(rabbit, sender, success(image) | change)

    with monitoring(rabbit, store):
        until("there is a dead letter", lambda: letters(store))

    assert why in letters(store)[0].why
    assert store.tasks.get(image.id).state is TaskState.STARTED


def test_a_broken_message_does_not_stop_those_behind_it(rabbit: RealRabbit, store: Store) -> None:
    image = a_claimed_image(store)
    tell(rabbit, "creator-1", "{no json")
    tell(rabbit, "creator-1", success(image), user_id=None)
    tell(rabbit, "creator-1", success(image))

    with monitoring(rabbit, store):
        succeeds(store, image)

    assert len(letters(store)) == 2


def test_an_event_that_the_database_can_not_keep_does_not_stop_the_others(
    rabbit: RealRabbit, store: Store
) -> None:
    images = [a_claimed_image(store) for _ in range(3)]
    tell(rabbit, "creator-1", success(images[0]))
    tell(rabbit, "creator-1", success(images[1]) | {"seq": 2**70})
    tell(rabbit, "creator-1", success(images[2]))

    with monitoring(rabbit, store):
        succeeds(store, images[2])
        until("there is a dead letter", lambda: letters(store))

    assert [store.tasks.get(image.id).state for image in images] == ["succeeded", "started", "succeeded"]
    assert "can't be kept" in letters(store)[0].why


def test_a_monitor_tells_how_late_it_folds_and_how_much_waits(rabbit: RealRabbit, store: Store) -> None:
    image = a_claimed_image(store)
    clock = Clock()
    store = same_store(store, clock)
    happened = clock.now - timedelta(seconds=60)
    tell(rabbit, "creator-1", success(image) | {"timestamp": happened.timestamp()})

    def next_reading() -> MonitorSeen:
        # Of what was folded since the one before; the monitor makes one whenever a second is over.
        clock.forward(timedelta(seconds=1))
        (seen,) = until("a reading", lambda: [it for it in store.monitors.every() if it.at == clock.now])
        assert isinstance(seen, MonitorSeen)
        return seen

    with monitoring(rabbit, store):
        while (told := next_reading()).reading.folded == 0:
            pass

    assert told.reading.folded == 1
    assert 60 <= told.reading.longest_lag_seconds <= (clock.now - happened).total_seconds()
    assert told.reading.queue_length == 0
    assert not told.silent
    assert store.monitors.every() == []  # it ended, and said so


def test_a_broken_message_that_comes_a_thousand_times_is_one_dead_letter(
    rabbit: RealRabbit, store: Store
) -> None:
    image = a_claimed_image(store)
    for _ in range(5):
        tell(rabbit, "creator-1", "{no json")
    tell(rabbit, "creator-1", success(image))

    with monitoring(rabbit, store):
        succeeds(store, image)

    assert [letter.times for letter in letters(store)] == [5]


def test_events_wait_in_their_queue_while_the_database_is_away(
    rabbit: RealRabbit, mongod: RealMongod, store: Store
) -> None:
    image = a_claimed_image(store)

    with monitoring(rabbit, store):
        mongod.stop(signal.SIGKILL)
        tell(rabbit, "creator-1", success(image))
        mongod.start()
        wait_for(store)
        succeeds(store, image)

    assert letters(store) == []


def test_two_monitors_share_the_events_of_a_task(rabbit: RealRabbit, store: Store) -> None:
    images = [a_claimed_image(store) for _ in range(4)]
    told = [progress(image, seq=seq) for seq in range(1, 60) for image in images]
    tell(rabbit, "creator-1", *told, *(success(image) | {"seq": 60} for image in images))

    with monitoring(rabbit, store), monitoring(rabbit, store):
        succeeds(store, *images)

    for image in images:
        task = store.tasks.get(image.id)
        assert task.folded == (1, 1, 60)
        assert [change.to_state for change in task.history].count("succeeded") == 1
    assert letters(store) == []
