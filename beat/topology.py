"""Exchanges and queues of the broker: declared here, since workers have no right to."""

from __future__ import annotations

from collections.abc import Iterable

from kombu import Connection

from cardshop import queues
from cardshop.contract import names


def declare(connection: Connection, writers: Iterable[str]) -> None:
    """Declares everything that workers and monitor use; what is there stays.

    Args:
        connection: an account with the role ``beat``.
        writers: user names of all writers; each has a queue of its own.
    """
    with connection.channel() as channel:
        queues.CONTROL_EXCHANGE(channel).declare()
        queues.EVENT_EXCHANGE(channel).declare()
        queues.EVENT_QUEUE(channel).declare()
        queues.DEAD_LETTER_QUEUE(channel).declare()
        for name in (names.CREATE_QUEUE, *(names.write_queue(writer) for writer in writers)):
            queues.task_queue(name)(channel).declare()
