"""The outbox while its publishers are killed with -9, stopped, cut off, and RabbitMQ is restarted under them.

What must hold: no line is lost, the lines of a task arrive in their order, and what comes twice has the
``message_id`` of the first.
"""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from kombu import Connection, Message

from beat.topology import declare
from cardshop import broker
from cardshop.contract import names
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store
from tests.publishing import PublisherProcess
from tests.real_services import RealMongod, RealRabbit
from tests.shop import new_store

SEED = 20261125
PUBLISHERS = 3
KILLS = 20
RESTARTS = (8, 16)
"""Of RabbitMQ, after so many kills."""

PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Arrived:
    """A message, as the queue had it."""

    id: str
    task: str
    number: int  # of its task, from 0


@pytest.fixture
def store(mongod: RealMongod, rabbit: RealRabbit) -> Store:
    with connect(rabbit) as connection:
        declare(connection, ["writer-1"])
        with connection.channel() as channel:
            channel.queue_purge(names.CREATE_QUEUE)
    return new_store(mongod.uri)


@contextmanager
def publishing(
    mongod: RealMongod, rabbit: RealRabbit, store: Store, folder: Path
) -> Iterator[list[PublisherProcess]]:
    database = store._database.name
    publishers = [
        PublisherProcess(mongod, rabbit, database, folder / f"publisher-{number}.log")
        for number in range(PUBLISHERS)
    ]
    try:
        yield publishers
    finally:
        for publisher in publishers:
            publisher.kill()


def connect(rabbit: RealRabbit) -> Connection:
    address = rabbit.address
    return broker.connection(address.host, address.port, "beat", rabbit.password, rabbit.ca_file)


def write(store: Store, tasks: int, each: int, may_go_on: Callable[[], object] = lambda: None) -> None:
    """Writes ``each`` lines of so many tasks, mixed, each in a transaction of its own."""
    numbers = [0] * tasks
    order = [task for task in range(tasks) for _ in range(each)]
    random.Random(SEED).shuffle(order)  # noqa: S311 - no secret
    for task in order:
        may_go_on()
        message = {"task": f"task-{task}", "number": numbers[task]}
        line = OutboxLine(LineKind.TASK, f"task-{task}", names.CREATE_QUEUE, names.CREATE_TASK, message)
        store.transaction(partial(store.outbox.add, [line]))
        numbers[task] += 1


def until_sent(store: Store) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.2)):
        if store.outbox.waiting() == 0:
            return
        time.sleep(0.2)
    raise AssertionError(f"{store.outbox.waiting()} lines were never sent")


def all_arrived(rabbit: RealRabbit) -> list[Arrived]:
    """Empties the queue, in its order."""
    arrived = []

    def take(body: object, message: Message) -> None:
        content = message.payload[1]["message"]
        arrived.append(Arrived(message.properties["message_id"], content["task"], content["number"]))
        message.ack()

    with connect(rabbit) as connection, connection.channel() as channel:
        while message := channel.basic_get(names.CREATE_QUEUE):
            take(None, channel.message_to_python(message))
    return arrived


def firsts(arrived: Sequence[Arrived]) -> list[Arrived]:
    """As a receiver sees them that knows which ids it had."""
    return list({message.id: message for message in reversed(arrived)}.values())[::-1]


def assert_whole(arrived: Sequence[Arrived], tasks: int, each: int) -> None:
    kept = firsts(arrived)
    assert len(kept) == tasks * each
    in_order = sorted(kept, key=lambda message: message.task)
    for task, messages in itertools.groupby(in_order, lambda message: message.task):
        assert [message.number for message in messages] == list(range(each)), task


def test_publishers_that_nobody_disturbs_send_each_line_once_and_in_order(
    mongod: RealMongod, rabbit: RealRabbit, store: Store, tmp_path: Path
) -> None:
    with publishing(mongod, rabbit, store, tmp_path):
        write(store, tasks=60, each=5)
        until_sent(store)

    arrived = all_arrived(rabbit)
    assert len(arrived) == 300
    assert_whole(arrived, tasks=60, each=5)


@pytest.mark.slow
def test_no_line_is_lost_or_out_of_order_when_publishers_are_killed_and_rabbitmq_is_restarted(
    mongod: RealMongod, rabbit: RealRabbit, store: Store, tmp_path: Path
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    lines = threading.Semaphore(0)  # that may be written: some before each kill, however fast this host is
    writing = threading.Thread(target=write, args=(store, 80, 5, lines.acquire), daemon=True)

    with publishing(mongod, rabbit, store, tmp_path) as publishers:
        writing.start()
        for kill in range(1, KILLS + 1):
            lines.release(80 * 5 // KILLS)
            time.sleep(chance.uniform(0.05, 1.0))
            publisher = chance.choice(publishers)
            publisher.kill()
            publisher.start()
            if kill in RESTARTS:
                rabbit.restart(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        writing.join()
        until_sent(store)

    arrived = all_arrived(rabbit)
    doubled = sum(count - 1 for count in Counter(message.id for message in arrived).values())
    print(f"{KILLS} kills, 2 restarts: {len(arrived)} arrived, {doubled} of them twice")  # noqa: T201
    assert_whole(arrived, tasks=80, each=5)


@pytest.mark.slow
def test_a_publisher_that_was_stopped_past_its_lease_does_no_harm(
    mongod: RealMongod, rabbit: RealRabbit, store: Store, tmp_path: Path
) -> None:
    with publishing(mongod, rabbit, store, tmp_path) as publishers:
        writing = threading.Thread(target=write, args=(store, 60, 5))
        writing.start()
        time.sleep(0.5)
        publishers[0].pause()
        writing.join()
        until_sent(store)
        publishers[0].go_on()
        time.sleep(3)

    assert_whole(all_arrived(rabbit), tasks=60, each=5)
