"""What an account may do on RabbitMQ, asked of the real broker that asks the real scheduler."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from amqp.exceptions import AccessRefused, PreconditionFailed

from beat.app import celery_app
from cardshop.contract import names
from tests.real_services import PATIENCE_SECONDS
from tests.real_stack import RealStack
from tests.workers import until

TASK = {"exchange": names.TASK_EXCHANGE, "routing_key": names.CREATE_QUEUE}


@contextmanager
def channel(stack: RealStack, username: str) -> Iterator[Any]:
    with stack.broker_connection(username) as opened, opened.channel() as channel:
        yield channel


def publish(channel: Any, *, user_id: str, exchange: str, routing_key: str) -> None:
    message = channel.prepare_message(b"{}", properties={"user_id": user_id})
    channel.basic_publish(
        message, exchange=exchange, routing_key=routing_key, confirm_timeout=PATIENCE_SECONDS
    )


def bound_to(exchange: str, routing_key: str = "#") -> Callable[[Any], None]:
    def bind(channel: Any) -> None:
        mailbox = "creator-1@test.1.celery.pidbox"
        channel.queue_declare(mailbox, exclusive=True)
        channel.queue_bind(mailbox, exchange, routing_key)

    return bind


CREATOR_MAY_NOT: dict[str, Callable[[Any], object]] = {
    "declare a queue": lambda channel: channel.queue_declare("anything"),
    "delete its queue": lambda channel: channel.queue_delete(names.CREATE_QUEUE),
    "declare an exchange": lambda channel: channel.exchange_declare("anything", "fanout"),
    "delete the events' exchange": lambda channel: channel.exchange_delete(names.EVENT_EXCHANGE),
    "delete the control exchange": lambda channel: channel.exchange_delete(names.CONTROL_EXCHANGE),
    "read a writer's queue": lambda channel: channel.basic_get(names.write_queue("writer-1")),
    "purge a writer's queue": lambda channel: channel.queue_purge(names.write_queue("writer-1")),
    "read the events": lambda channel: channel.basic_get(names.EVENT_QUEUE),
    "read the dead letters": lambda channel: channel.basic_get(names.DEAD_LETTER_QUEUE),
    "hear the events": bound_to(names.EVENT_EXCHANGE),
    "hear the tasks": bound_to(names.TASK_EXCHANGE, names.CREATE_QUEUE),
    "publish a task": lambda channel: publish(channel, user_id="creator-1", **TASK),
    "publish past the exchanges": lambda channel: publish(
        channel, user_id="creator-1", exchange="", routing_key=names.CREATE_QUEUE
    ),
    "command other workers": lambda channel: publish(
        channel, user_id="creator-1", exchange=names.CONTROL_EXCHANGE, routing_key=""
    ),
    "take another's mailbox": lambda channel: channel.queue_declare("writer-1@test.1.celery.pidbox"),
    "tell of something else": lambda channel: publish(
        channel, user_id="creator-1", exchange=names.EVENT_EXCHANGE, routing_key="orders.paid"
    ),
}


@pytest.mark.parametrize("what", CREATOR_MAY_NOT)
def test_a_creator_may_not(stack: RealStack, what: str) -> None:
    with stack.broker_connection("creator-1") as opened:
        channel = opened.channel()

        with pytest.raises(AccessRefused):
            CREATOR_MAY_NOT[what](channel)


def test_a_creator_tells_events_in_its_own_name_only(stack: RealStack) -> None:
    event = {"exchange": names.EVENT_EXCHANGE, "routing_key": "task.progress"}

    with channel(stack, "creator-1") as own:
        publish(own, user_id="creator-1", **event)
    with stack.broker_connection("creator-1") as opened, pytest.raises(PreconditionFailed, match="user_id"):
        publish(opened.channel(), user_id="writer-1", **event)


def test_a_worker_has_a_mailbox_for_control_and_reads_its_queue(stack: RealStack) -> None:
    with channel(stack, "writer-1") as own:
        own.queue_declare("writer-1@test.1.celery.pidbox", exclusive=True)
        own.queue_bind("writer-1@test.1.celery.pidbox", names.CONTROL_EXCHANGE)
        own.basic_get(names.write_queue("writer-1"))


def test_a_writer_reads_no_queue_but_its_own(stack: RealStack) -> None:
    for queue in (names.write_queue("writer-2"), names.CREATE_QUEUE):
        with stack.broker_connection("writer-1") as opened, pytest.raises(AccessRefused):
            opened.channel().basic_get(queue)


def test_the_monitor_reads_and_does_not_write(stack: RealStack) -> None:
    for exchange, key in (
        (names.TASK_EXCHANGE, names.CREATE_QUEUE),
        (names.EVENT_EXCHANGE, "task.succeeded"),
        (names.CONTROL_EXCHANGE, ""),
    ):
        with stack.broker_connection("monitor") as opened, pytest.raises(AccessRefused):
            publish(opened.channel(), user_id="monitor", exchange=exchange, routing_key=key)


def test_beat_commands_workers_but_does_not_speak_for_them(stack: RealStack) -> None:
    event = {"exchange": names.EVENT_EXCHANGE, "routing_key": "task.succeeded"}

    with channel(stack, "beat") as own:
        publish(own, user_id="beat", exchange=names.CONTROL_EXCHANGE, routing_key="")
    with stack.broker_connection("beat") as opened, pytest.raises(AccessRefused):
        publish(opened.channel(), user_id="beat", **event)


@pytest.mark.parametrize("username", ["operator", "warehouse"])
def test_who_has_no_business_at_the_broker_does_not_get_in(stack: RealStack, username: str) -> None:
    with pytest.raises(AccessRefused), stack.broker_connection(username) as opened:
        opened.connect()


def test_a_wrong_password_does_not_get_in(stack: RealStack) -> None:
    with pytest.raises(AccessRefused), stack.broker_connection("creator-1", "wrong") as opened:
        opened.connect()


def test_a_running_worker_hears_and_answers_with_its_rights(stack: RealStack) -> None:
    node = f"creator-1@{socket.gethostname()}"
    with stack.broker_connection("beat") as opened:
        control = celery_app(opened).control

        def pinged() -> object:
            return control.ping(timeout=5, limit=1, destination=[node], connection=opened)

        # An earlier test may have restarted the broker under it.
        answers = until("it answers", pinged)

    assert answers == [{node: {"ok": "pong"}}]
