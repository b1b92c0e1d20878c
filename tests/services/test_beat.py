"""Beat over a real RabbitMQ (TLS) and MongoDB: the outbox arrives, once, whoever sends it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from celery.beat import Service

from beat.app import celery_app, scheduler_class
from beat.jobs import Tools, jobs
from beat.outbox import OutboxPublisher
from beat.topology import declare
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
from tests.real_services import PATIENCE_SECONDS, RealMongod, RealRabbit
from tests.shop import Clock, a_draft, add_workers, new_store
from tests.workers import ended, until


@pytest.fixture
def store(mongod: RealMongod, rabbit: RealRabbit) -> Store:
    rabbit.begin_anew("writer-late")
    return new_store(mongod.uri)


@contextmanager
def publishing(rabbit: RealRabbit, store: Store, publishers: int = 1) -> Iterator[None]:
    stopped = threading.Event()
    threads = [
        OutboxPublisher(celery_app(rabbit.connection()), rabbit.connection, store, stopped)
        for _ in range(publishers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            ended(thread)


@dataclass(frozen=True)
class Received:
    """A message, and the line of the outbox that it was made of."""

    line: str
    task: CreateTask


def received(rabbit: RealRabbit, queue: str, count: int) -> list[Received]:
    """Takes the messages of ``count`` lines out of a queue, then makes sure that there is none of another.

    One whose confirm came late was sent again, and is there twice.
    """
    taken: list[Received] = []
    with (
        rabbit.patient_connection() as connection,
        connection.SimpleQueue(queue, queue_opts={"no_declare": True}) as inbox,
    ):
        while (lines := len({each.line for each in taken})) <= count:
            try:
                message = inbox.get(timeout=PATIENCE_SECONDS if lines < count else 1)
            except inbox.Empty:
                break
            assert message.delivery_info["exchange"] == "cardshop.tasks"
            task = CreateTask.from_wire(message.payload[1]["message"])
            taken.append(Received(message.properties["message_id"], task))
            message.ack()
    assert lines == count
    return taken


def only(taken: list[Received]) -> CreateTask:
    """The task of the only line."""
    (task,) = {each.line: each.task for each in taken}.values()
    return task


def test_an_accepted_order_reaches_the_creators_queue(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())

    with publishing(rabbit, store):
        message = only(received(rabbit, "create", 1))
        until("it is known to be sent", lambda: store.outbox.waiting() == 0)

    assert message.order_id == order.id
    assert message.task_id == store.tasks.of_order(order.id)[0].id


def test_several_publishers_send_each_line_once_a_lease(rabbit: RealRabbit, store: Store) -> None:
    add_workers(store, Role.CREATOR, 30)
    placed = [orders.place(store, a_draft(image_digest=f"{number:064x}")) for number in range(30)]

    with publishing(rabbit, store, publishers=3):
        messages = received(rabbit, "create", 30)

    assert {message.task.order_id for message in messages} == {order.id for order in placed}
    leases = {str(line["_id"]): line["tries"] for line in store._database["outbox"].find()}
    assert Counter(message.line for message in messages) <= Counter(leases)


def test_lines_written_while_rabbitmq_is_away_are_sent_when_it_is_back(
    rabbit: RealRabbit, store: Store
) -> None:
    with publishing(rabbit, store):
        rabbit.stop()
        order = orders.place(store, a_draft())
        rabbit.start()
        message = only(received(rabbit, "create", 1))

    assert message.order_id == order.id


def test_the_topology_can_be_declared_again_and_again(rabbit: RealRabbit) -> None:
    with rabbit.patient_connection() as connection:
        declare(connection, ["writer-1"])
        declare(connection, ["writer-1", "writer-2"])

        with connection.channel() as channel:
            assert channel.queue_declare("write.writer-2", passive=True).message_count == 0


def test_the_clock_runs_what_is_due_and_keeps_its_result(mongod: RealMongod, rabbit: RealRabbit) -> None:
    store = new_store(mongod.uri, Clock())  # at which no key has to be changed meanwhile
    seal = Seal(SECRET_KEY)
    tools = Tools(store, Web(frozenset()), seal, Signing(store.keys, seal, store.clock))
    clock = Service(celery_app(rabbit.connection()), scheduler_cls=scheduler_class(store, jobs(tools)))
    ticking = threading.Thread(target=clock.start)
    ticking.start()

    def results() -> dict[str, str]:
        return {entry.id: entry.last_result for entry in store.schedules.every()}

    try:
        until("work is handed out", lambda: results().get("dispatch-waiting"))
        until("catalogues are read", lambda: results().get("refresh-catalogues"))
    finally:
        clock.stop()
        ticking.join()

    ran = results()
    assert ran["dispatch-waiting"] == "Gave 0 tasks to workers."
    assert ran["refresh-catalogues"] == "Read 0 catalogues."
    assert ran["rotate-keys"] == ""


def lines_for(store: Store, task: Task, *queues: str) -> None:
    store.outbox.add(
        [OutboxLine(LineKind.TASK, task.id, queue, "cardshop.write", {"queue": queue}) for queue in queues]
    )


def test_a_message_that_no_queue_takes_raises_an_alarm_and_arrives_when_one_does(
    rabbit: RealRabbit, store: Store
) -> None:
    task = store.tasks.of_order(orders.place(store, a_draft()).id)[1]
    lines_for(store, task, "write.writer-late")

    def alarmed() -> bool:
        return store.alarms.open_subjects(AlarmKind.MESSAGE_REFUSED) == {task.id}

    with publishing(rabbit, store):
        received(rabbit, "create", 1)
        until("there is an alarm", alarmed)
        until("only that line waits", lambda: store.outbox.waiting() == 1)

        store.users.add("writer-late", Role.WRITER, "no password")
        until("it is sent", lambda: store.outbox.waiting() == 0)
        until("the alarm ended", lambda: not alarmed())

    with rabbit.patient_connection() as connection, connection.channel() as channel:
        message = until("it arrived", lambda: channel.basic_get("write.writer-late", no_ack=True))
        assert message.headers["id"] == task.id


def test_a_message_that_can_t_be_written_holds_up_no_other(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())
    lines_for(store, store.tasks.of_order(order.id)[1], "x" * 300)

    with publishing(rabbit, store):
        message = only(received(rabbit, "create", 1))
        until("only the other line waits", lambda: store.outbox.waiting() == 1)

    assert message.order_id == order.id


def test_a_refused_message_of_a_task_that_has_ended_is_dropped(rabbit: RealRabbit, store: Store) -> None:
    order = orders.place(store, a_draft())
    lines_for(store, store.tasks.of_order(order.id)[1], "write.nobody")
    orders.cancel(store, order.id, who="operator")

    with publishing(rabbit, store):
        until("nothing waits", lambda: store.outbox.waiting() == 0)
