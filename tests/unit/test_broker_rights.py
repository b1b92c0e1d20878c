"""The table of rights on the broker, without a broker."""

from __future__ import annotations

import pytest

from cardshop.contract import names
from scheduler.domain.broker_rights import may_use_resource, may_use_topic
from scheduler.domain.rights import BROKER_ROLES, Role

PERMISSIONS = ("configure", "write", "read")


def granted(role: Role, username: str, resource: str, name: str) -> set[str]:
    return {
        permission
        for permission in PERMISSIONS
        if may_use_resource(role, username, names.VHOST, resource, name, permission)
    }


@pytest.mark.parametrize("role", sorted(set(Role) - BROKER_ROLES))
def test_a_role_without_business_at_the_broker_may_nothing(role: Role) -> None:
    for resource, name in (("queue", names.CREATE_QUEUE), ("exchange", names.EVENT_EXCHANGE)):
        assert granted(role, "someone", resource, name) == set()


@pytest.mark.parametrize("role", list(Role))
def test_nobody_may_anything_in_another_vhost(role: Role) -> None:
    assert not may_use_resource(role, "someone", "/", "queue", names.CREATE_QUEUE, "read")


def test_a_worker_reads_the_queue_of_its_role_only() -> None:
    assert granted(Role.CREATOR, "c", "queue", names.CREATE_QUEUE) == {"read"}
    assert granted(Role.CREATOR, "c", "queue", names.write_queue("c")) == set()
    assert granted(Role.WRITER, "w", "queue", names.write_queue("w")) == {"read"}
    assert granted(Role.WRITER, "w", "queue", names.write_queue("w2")) == set()
    assert granted(Role.WRITER, "w", "queue", names.CREATE_QUEUE) == set()


@pytest.mark.parametrize("role", [Role.CREATOR, Role.WRITER])
def test_a_worker_configures_its_own_mailbox_and_nothing_else(role: Role) -> None:
    assert granted(role, "w", "queue", "w@host.1f.celery.pidbox") == set(PERMISSIONS)
    for other in ("w2@host.1f.celery.pidbox", "xw@host.celery.pidbox", "w@host.other", names.EVENT_QUEUE):
        assert granted(role, "w", "queue", other) == set()
    exchanges = (names.TASK_EXCHANGE, names.EVENT_EXCHANGE, names.CONTROL_EXCHANGE, "", "new")
    assert not any("configure" in granted(role, "w", "exchange", name) for name in exchanges)


@pytest.mark.parametrize("role", [Role.CREATOR, Role.WRITER, Role.MONITOR])
def test_only_beat_publishes_tasks_and_commands(role: Role) -> None:
    for exchange in (names.TASK_EXCHANGE, names.CONTROL_EXCHANGE):
        assert "write" not in granted(role, "w", "exchange", exchange)
        assert "write" in granted(Role.BEAT, "beat", "exchange", exchange)


def test_an_admin_hears_events_and_asks_workers_by_queues_of_its_own() -> None:
    assert granted(Role.ADMIN, "ada", "queue", "celeryev.5e1f") == set(PERMISSIONS)
    assert granted(Role.ADMIN, "ada", "queue", f"5e1f.{names.CONTROL_REPLY_EXCHANGE}") == set(PERMISSIONS)
    assert granted(Role.ADMIN, "ada", "exchange", names.EVENT_EXCHANGE) == {"configure", "read"}
    assert granted(Role.ADMIN, "ada", "exchange", names.CONTROL_EXCHANGE) == {"write"}
    for queue in (names.EVENT_QUEUE, names.DEAD_LETTER_QUEUE, names.CREATE_QUEUE, names.write_queue("w")):
        assert granted(Role.ADMIN, "ada", "queue", queue) == set()
    assert granted(Role.ADMIN, "ada", "exchange", names.TASK_EXCHANGE) == set()


@pytest.mark.parametrize("role", [Role.MONITOR, Role.BEAT, Role.ADMIN])
def test_only_workers_tell_events(role: Role) -> None:
    assert "write" not in granted(role, "m", "exchange", names.EVENT_EXCHANGE)


@pytest.mark.parametrize(
    "key", ["task.progress", "task.waiting.for.card", "worker.heartbeat", "slot.changed"]
)
def test_the_keys_of_events_are_allowed(key: str) -> None:
    assert may_use_topic(Role.WRITER, "w", names.VHOST, names.EVENT_EXCHANGE, "write", key)


@pytest.mark.parametrize("key", ["", "orders.paid", "task", "task.#", "TASK.progress"])
def test_other_keys_are_not(key: str) -> None:
    assert not may_use_topic(Role.WRITER, "w", names.VHOST, names.EVENT_EXCHANGE, "write", key)
