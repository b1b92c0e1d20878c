"""The exchanges and queues of the broker. Beat declares them; workers have no right to."""

from __future__ import annotations

from kombu import Exchange, Queue

from cardshop.contract import names

TASK_EXCHANGE = Exchange(names.TASK_EXCHANGE, type="direct", durable=True)
EVENT_EXCHANGE = Exchange(names.EVENT_EXCHANGE, type="topic", durable=True)
CONTROL_EXCHANGE = Exchange(names.CONTROL_EXCHANGE, type="fanout", durable=True)
"""Requests to stop a task; see :mod:`cardshop.control`."""
DEAD_LETTER_EXCHANGE = Exchange(names.DEAD_LETTER_EXCHANGE, type="fanout", durable=True)

EVENT_QUEUE = Queue(names.EVENT_QUEUE, EVENT_EXCHANGE, routing_key="#", durable=True)
DEAD_LETTER_QUEUE = Queue(names.DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, durable=True)


def task_queue(name: str) -> Queue:
    """A queue of tasks: replicated where the broker has several nodes, and never delivering for ever."""
    return Queue(
        name,
        TASK_EXCHANGE,
        routing_key=name,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": names.DELIVERY_LIMIT,
            "x-dead-letter-exchange": names.DEAD_LETTER_EXCHANGE,
        },
    )
