"""A crowd of simulated writers: their accounts and tasks in the database, and the events that they send.

What a writer sends while it writes a card: ``task-received``, ``task-started``, a progress each second
through download, write and read-back, some lines of log, the wait for a card, the outcome; and a heartbeat
every five seconds. Fields and sizes are those of the real runtime (``cardshop.worker``, Celery's dispatcher).
"""

from __future__ import annotations

import heapq
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kombu import Connection

from cardshop import queues
from cardshop.contract.events import (
    EVENT_VERSION,
    Card,
    CardWritten,
    Log,
    Phase,
    Progress,
    Waiting,
    body_to_wire,
    outcome_to_wire,
)
from cardshop.worker.program import HEARTBEAT_EVENT_SECONDS
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskEvent, TaskState
from scheduler.domain.tasks import Task, TaskKind, move
from scheduler.store.store import Store
from tests.shop import DIGEST, a_draft, image_built

PROGRESS_OF_A_CARD = ((Phase.DOWNLOAD, 20), (Phase.WRITE, 30), (Phase.READ_BACK, 10))
"""Seconds of each phase; a progress each second."""

CARDS_OF_AN_ORDER = 40
EVENTS_OF_A_CARD = 80
"""A little less than there are, heartbeats included."""

IMAGE_BYTES = 7_759_462_400
BYTES_A_SECOND = 18_000_000

Told = tuple[float, str, dict[str, Any]]  # second, who, event


@dataclass(frozen=True)
class Crowd:
    """Writers with the tasks of each."""

    tasks: dict[str, list[str]]  # ids by user name

    @property
    def writers(self) -> list[str]:
        """User names."""
        return list(self.tasks)


def settle(store: Store, writers: int, tasks_each: int, *, prefix: str = "writer") -> Crowd:
    """Stores accounts, and orders whose cards they have claimed; each does its tasks one after the other."""
    names = [f"{prefix}-{number:03}" for number in range(1, writers + 1)]
    for name in names:
        store.users.add(name, Role.WRITER, "no password")
    crowd: dict[str, list[str]] = {name: [] for name in names}
    waiting = [name for _ in range(tasks_each) for name in names]
    while waiting:
        holders, waiting = waiting[:CARDS_OF_AN_ORDER], waiting[CARDS_OF_AN_ORDER:]
        order, tasks = _order(store, holders)
        store.orders.insert(order)
        store.tasks.insert(tasks)
        for task in tasks[1:]:
            crowd[task.worker or ""].append(task.id)
    return Crowd(crowd)


def lives(crowd: Crowd, count: int) -> Iterator[Told]:
    """The first ``count`` events of all writers, in the order in which they happen."""
    ordered = heapq.merge(
        *(_life(name, tasks) for name, tasks in crowd.tasks.items()), key=lambda told: told[0]
    )
    return itertools.islice(ordered, count)


def progress_only(crowd: Crowd, second: int) -> Iterator[Told]:
    """One progress of each writer, spread over the second."""
    step = 1 / len(crowd.tasks)
    for place, (name, tasks) in enumerate(crowd.tasks.items()):
        done = second * BYTES_A_SECOND
        body = body_to_wire(Progress(Phase.WRITE.value, done, IMAGE_BYTES, "bytes"))
        yield second + place * step, name, _task_event("task-progress", name, tasks[0], second + 2, body)


def second_of(progress: Mapping[str, Any]) -> int:
    """Which second's a progress of :func:`progress_only` is."""
    return int(progress["done"]) // BYTES_A_SECOND


def publish(connection: Connection, events: Iterator[Told], started_at: float, *, live: bool) -> Counter[str]:
    """Sends events; in real time, each with the time at which it is sent, when ``live``.

    Returns how many of each type.

    The account may speak for others (RabbitMQ's tag ``impersonator``), as a crowd of connections would.
    """
    producer = connection.Producer(exchange=queues.EVENT_EXCHANGE, auto_declare=False)
    sent: Counter[str] = Counter()
    for second, who, event in events:
        if live:
            time.sleep(max(0.0, started_at + second - time.time()))
        producer.publish(
            json.dumps({**event, "timestamp": time.time() if live else started_at + second}),
            routing_key=event["type"].replace("-", "."),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            user_id=who,
            headers={"hostname": event["hostname"]},
        )
        sent[event["type"]] += 1
    return sent


def _order(store: Store, holders: Sequence[str]) -> tuple[Order, list[Task]]:
    now = store.clock()
    draft = a_draft(quantity=len(holders))
    order = Order(
        id=str(uuid.uuid4()),
        number=store.orders.next_number(),
        draft=draft,
        state=OrderState.WRITING,
        created_at=now,
        updated_at=now,
    )
    image = _claimed(order, TaskKind.CREATE, 0, "creator-1")
    image = replace(image, state=TaskState.SUCCEEDED, outcome=vars(image_built()))
    return order, [
        image,
        *(_claimed(order, TaskKind.WRITE, unit, who) for unit, who in enumerate(holders, 1)),
    ]


def _claimed(order: Order, kind: TaskKind, unit: int, worker: str) -> Task:
    task = Task(
        id=str(uuid.uuid4()),
        order_id=order.id,
        kind=kind,
        unit=unit,
        state=TaskState.PENDING,
        image_digest=DIGEST,
        created_at=order.created_at,
        updated_at=order.created_at,
        order_number=order.number,
        channel="bench",
        ready_at=order.created_at,
    )
    for event in (TaskEvent.RELEASE, TaskEvent.CLAIM):
        moved = move(task, event, who=worker, at=order.created_at)
        task = moved if isinstance(moved, Task) else task
    return task


def _life(name: str, tasks: Sequence[str]) -> Iterator[Told]:
    """What one writer tells, from now on: its tasks one after the other, and heartbeats between."""
    offset = (_number_of(name) % 1000) / 1000  # not all in the same instant
    second, beat_at = offset, offset
    for clock in itertools.count(1):
        if clock > len(tasks):
            return
        for wait, event in _card(name, tasks[clock - 1]):
            while beat_at <= second:
                yield beat_at, name, _heartbeat(name, clock)
                beat_at += HEARTBEAT_EVENT_SECONDS
            yield second, name, event
            second += wait


def _number_of(name: str) -> int:
    """A number of the name, the same in each run."""
    return int(uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:8], 16)


def _card(name: str, task_id: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """The events of one card, each with the seconds until the next."""
    seq = itertools.count(1)

    def tell(event_type: str, fields: dict[str, Any]) -> dict[str, Any]:
        return _task_event(event_type, name, task_id, next(seq), fields)

    yield 0.01, _task_event("task-received", name, task_id, 1, {"name": "cardshop.write"}, claim=0)
    yield 0.01, tell("task-started", {})
    yield (
        0.01,
        tell("task-log", body_to_wire(Log((f"card 1 of {CARDS_OF_AN_ORDER}", "slot A is this writer's")))),
    )
    for phase, seconds in PROGRESS_OF_A_CARD:
        yield 0.01, tell("task-log", body_to_wire(Log((f"{phase} begins", f"image {DIGEST}"))))
        if phase is Phase.WRITE:
            yield 2.0, tell("task-waiting-for-card", body_to_wire(Waiting("A", "Put a card of 8 GB into A.")))
        for second in range(1, seconds + 1):
            done = IMAGE_BYTES * second // seconds
            yield 1.0, tell("task-progress", body_to_wire(Progress(phase.value, done, IMAGE_BYTES, "bytes")))
            if second % 10 == 0:
                yield 0.01, tell("task-log", body_to_wire(Log((f"{phase}: {done} of {IMAGE_BYTES} bytes",))))
    outcome = CardWritten(DIGEST, "A", Card("card-A", 7_948_206_080), 600_000_000, {"write": 30.0})
    ended = {"outcome": outcome_to_wire(outcome), "runtime": 62.0, "result": "CardWritten"}
    yield 3.0, tell("task-succeeded", ended)


def _task_event(
    event_type: str, name: str, task_id: str, seq: int, fields: dict[str, Any], *, claim: int = 1
) -> dict[str, Any]:
    head = {"uuid": task_id, "attempt": 1, "claim": claim, "seq": seq}
    return {**_event(event_type, name), **head, **fields}


def _heartbeat(name: str, clock: int) -> dict[str, Any]:
    system = {"sw_ident": "py-celery", "sw_ver": "5.5.0", "sw_sys": "Linux"}
    state = {"freq": HEARTBEAT_EVENT_SECONDS, "active": 1, "processed": clock, "loadavg": [0.3, 0.2, 0.1]}
    return {**_event("worker-heartbeat", name), "clock": clock, **state, **system}


def _event(event_type: str, name: str) -> dict[str, Any]:
    return {
        "type": event_type,
        "version": EVENT_VERSION,
        "hostname": f"{name}@desk",
        "utcoffset": 0,
        "pid": 1234,
    }
