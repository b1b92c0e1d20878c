"""Beat over a real RabbitMQ (TLS) and MongoDB: the outbox arrives, once, whoever sends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery.beat import Service
from kombu import Connection

from beat.app import celery_app, scheduler_class
from beat.jobs import Tools, jobs
from beat.outbox import OutboxPublisher
from beat.topology import declare
from cardshop import broker
from cardshop.contract.tasks import CreateTask
from scheduler.catalogue.web import Web
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.tasks import Task
from scheduler.seal import Seal
from scheduler.shop import orders
from scheduler.shop.signing import Signing
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store
from tests.api import SECRET_KEY
from tests.real_services import RealMongod, RealRabbit
from tests.shop import a_draft, add_workers, new_store


@pytest.fixture
def store(mongod: RealMongod, rabbit: RealRabbit) -> Store:
    with connect(rabbit) as connection:
        declare(connection, [])
        with connection.channel() as channel:
            channel.queue_purge("create")
    return new_store(mongod.uri)


def connect(rabbit: RealRabbit, username: str = "beat") -> Connection:
    address = rabbit.address
    return broker.connection(address.host, address.port, username, rabbit.password, rabbit.ca_file)


@contextmanager
def publishing(rabbit: RealRabbit, store: Store, publishers: int = 1) -> Iterator[None]:
    stopped = threading.Event()
    threads = [
        OutboxPublisher(celery_app(connect(rabbit)), lambda: connect(rabbit), store, stopped)
        for _ in range(publishers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(20)


def received(rabbit: RealRabbit, queue: str, count: int) -> list[CreateTask]:
    """Takes ``count`` messages out of a queue, then makes sure that there is no other."""
    tasks = []
    with (
        connect(rabbit) as connection,
        connection.SimpleQueue(queue, queue_opts={"no_declare": True}) as inbox,
    ):
        for _ in range(count):
            message = inbox.get(timeout=20)
            assert message.delivery_info["exchange"] == "cardshop.tasks"
            tasks.append(CreateTask.from_wire(message.payload[1]["message"]))
            message.ack()
        with pytest.raises(inbox.Empty):
            inbox.get(timeout=1)
    return tasks


def test_an_accepted_order_reaches_the_creators_queue(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())

    with publishing(rabbit, store):
        (message,) = received(rabbit, "create", 1)

    assert message.order_id == order.id
    assert message.task_id == store.tasks.of_order(order.id)[0].id
    assert store.outbox.waiting() == 0


def test_several_publishers_send_each_line_once(rabbit: RealRabbit, store: Store) -> None:
    add_workers(store, Role.CREATOR, 30)
    placed = [orders.place(store, a_draft(image_digest=f"{number:064x}")) for number in range(30)]

    with publishing(rabbit, store, publishers=3):
        messages = received(rabbit, "create", 30)

    assert {message.order_id for message in messages} == {order.id for order in placed}


def test_lines_written_while_rabbitmq_is_away_are_sent_when_it_is_back(
    rabbit: RealRabbit, store: Store
) -> None:
    with publishing(rabbit, store):
        rabbit.stop()
        order = orders.place(store, a_draft())
        rabbit.start()
        (message,) = received(rabbit, "create", 1)

    assert message.order_id == order.id


def test_the_topology_can_be_declared_again_and_again(rabbit: RealRabbit) -> None:
    with connect(rabbit) as connection:
        declare(connection, ["writer-1"])
        declare(connection, ["writer-1", "writer-2"])

        with connection.channel() as channel:
            assert channel.queue_declare("write.writer-2", passive=True).message_count == 0


def test_the_clock_runs_what_is_due_and_keeps_its_result(mongod: RealMongod, rabbit: RealRabbit) -> None:
    store = new_store(mongod.uri)
    seal = Seal(SECRET_KEY)
    tools = Tools(store, Web(frozenset()), seal, Signing(store.keys, seal, store.clock))
    clock = Service(celery_app(connect(rabbit)), scheduler_cls=scheduler_class(store, jobs(tools)))
    ticking = threading.Thread(target=clock.start)
    ticking.start()
    try:
        for _ in range(200):
            ran = {entry.id: entry.last_result for entry in store.schedules.every()}
            if ran.get("dispatch-waiting") and ran.get("refresh-catalogues"):
                break
            time.sleep(0.1)
    finally:
        clock.stop()
        ticking.join()

    assert ran["dispatch-waiting"] == "Gave 0 tasks to workers."
    assert ran["refresh-catalogues"] == "Read 0 catalogues."
    assert ran["rotate-keys"] == ""


def lines_for(store: Store, task: Task, *queues: str) -> None:
    store.outbox.add(
        [OutboxLine(LineKind.TASK, task.id, queue, "cardshop.write", {"queue": queue}) for queue in queues]
    )


def until(what: Callable[[], bool]) -> None:
    for _ in range(300):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def test_a_message_that_no_queue_takes_raises_an_alarm_and_arrives_when_one_does(
    rabbit: RealRabbit, store: Store
) -> None:
    task = store.tasks.of_order(orders.place(store, a_draft()).id)[1]
    lines_for(store, task, "write.writer-late")

    def alarmed() -> bool:
        return store.alarms.open_subjects(AlarmKind.MESSAGE_REFUSED) == {task.id}

    with publishing(rabbit, store):
        received(rabbit, "create", 1)
        until(alarmed)
        assert store.outbox.waiting() == 1

        store.users.add("writer-late", Role.WRITER, "no password")
        until(lambda: store.outbox.waiting() == 0)
        until(lambda: not alarmed())

    with connect(rabbit) as connection, connection.channel() as channel:
        assert channel.queue_declare("write.writer-late", passive=True).message_count == 1


def test_a_message_that_can_t_be_written_holds_up_no_other(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())
    lines_for(store, store.tasks.of_order(order.id)[1], "x" * 300)

    with publishing(rabbit, store):
        (message,) = received(rabbit, "create", 1)
        until(lambda: store.outbox.waiting() == 1)

    assert message.order_id == order.id


def test_a_refused_message_of_a_task_that_has_ended_is_dropped(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())
    lines_for(store, store.tasks.of_order(order.id)[1], "write.nobody")
    orders.cancel(store, order.id, who="operator")

    with publishing(rabbit, store):
        until(lambda: store.outbox.waiting() == 0)
