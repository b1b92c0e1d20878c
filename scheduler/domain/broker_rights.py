"""Who may do what on RabbitMQ: the one table. What is not in it is denied.

RabbitMQ asks about each resource (an exchange or a queue) with one of three permissions: ``configure``
(declare, delete), ``write`` (publish to an exchange, bind a queue) and ``read`` (consume or purge a queue,
bind to an exchange). About a publication to the event exchange it also asks for the routing key.

An admin hears the events and asks the workers with Celery's own tools, as Flower does: with queues of their
own, never from the queue that the monitor reads.

Workers declare nothing that is shared: beat does. Each worker has a mailbox for Celery's control commands, a
queue whose name begins with its own user name; only beat writes to the exchange that feeds them.
"""

from __future__ import annotations

import re

from cardshop.contract import names
from scheduler.domain.rights import Role

_CONFIGURE, _WRITE, _READ = "configure", "write", "read"

_CONSUMED_BY_MONITOR = (names.EVENT_QUEUE, names.DEAD_LETTER_QUEUE)

_QUEUES_OF_CELERY_TOOLS = "celeryev."
"""Celery's own prefix of the queues that its tools hear events with."""

_EVENT_KEYS = re.compile(r"(task|worker|slot)\.[a-z.]+")


def may_use_resource(
    role: Role, username: str, vhost: str, resource: str, name: str, permission: str
) -> bool:
    """RabbitMQ's question about an exchange or a queue."""
    if vhost != names.VHOST:
        return False
    match role:
        case Role.CREATOR:
            return _worker_may(username, names.CREATE_QUEUE, resource, name, permission)
        case Role.WRITER:
            return _worker_may(username, names.write_queue(username), resource, name, permission)
        case Role.MONITOR:
            return _monitor_may(resource, name, permission)
        case Role.BEAT:
            return _beat_may(resource, name, permission)
        case Role.ADMIN:
            return _admin_may(resource, name, permission)
        case _:
            return False


def may_use_topic(
    role: Role, username: str, vhost: str, name: str, permission: str, routing_key: str
) -> bool:
    """RabbitMQ's question about a routing key; it is asked after :func:`may_use_resource` said yes."""
    if not may_use_resource(role, username, vhost, "exchange", name, permission):
        return False
    if name == names.EVENT_EXCHANGE and permission == _WRITE:
        return _EVENT_KEYS.fullmatch(routing_key) is not None
    return True


def _worker_may(username: str, queue: str, resource: str, name: str, permission: str) -> bool:
    if resource == "queue":
        return (name == queue and permission == _READ) or _is_mailbox_of(username, name)
    return (name, permission) in {
        (names.EVENT_EXCHANGE, _WRITE),
        (names.CONTROL_EXCHANGE, _READ),
        (names.CONTROL_REPLY_EXCHANGE, _WRITE),
    }


def _is_mailbox_of(username: str, queue: str) -> bool:
    return queue.startswith(f"{username}@") and queue.endswith(f".{names.CONTROL_EXCHANGE}")


def _monitor_may(resource: str, name: str, permission: str) -> bool:
    if resource == "queue":
        return name in _CONSUMED_BY_MONITOR
    if name in {names.EVENT_EXCHANGE, names.DEAD_LETTER_EXCHANGE}:
        return permission in {_CONFIGURE, _READ}
    return False


def _beat_may(resource: str, name: str, permission: str) -> bool:
    if resource == "queue":
        if name == names.CREATE_QUEUE or name.startswith(names.write_queue("")):
            # To declare a queue with a dead-letter exchange takes reading the one and writing to the other.
            return True
        if name in _CONSUMED_BY_MONITOR:
            return permission in {_CONFIGURE, _WRITE}
        return name.endswith(f".{names.CONTROL_REPLY_EXCHANGE}")
    if name in {names.EVENT_EXCHANGE, names.CONTROL_REPLY_EXCHANGE}:
        return permission in {_CONFIGURE, _READ}
    return name in {names.TASK_EXCHANGE, names.CONTROL_EXCHANGE, names.DEAD_LETTER_EXCHANGE}


def _admin_may(resource: str, name: str, permission: str) -> bool:
    if resource == "queue":
        return name.startswith(_QUEUES_OF_CELERY_TOOLS) or name.endswith(f".{names.CONTROL_REPLY_EXCHANGE}")
    return (name, permission) in {
        (names.EVENT_EXCHANGE, _CONFIGURE),
        (names.EVENT_EXCHANGE, _READ),
        (names.CONTROL_EXCHANGE, _WRITE),
        (names.CONTROL_REPLY_EXCHANGE, _CONFIGURE),
        (names.CONTROL_REPLY_EXCHANGE, _READ),
    }
