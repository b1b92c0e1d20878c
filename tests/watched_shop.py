"""A shop whose time passes in a moment: a clock, a monitor that listens, and workers whose hearts beat."""

from __future__ import annotations

from datetime import timedelta

from cardshop.contract.events import EventType
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.silence import Limits
from scheduler.domain.tasks import Task
from scheduler.shop.folding import fold_event
from scheduler.shop.silence import sweep
from scheduler.shop.tasks import claim
from scheduler.store.monitors import Reading
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.workers import WorkerSeen
from tests.shop import Clock, image_built, new_store, told

LIMITS = Limits(task=timedelta(minutes=3))
"""Of a task less than its default: there is a sweep for each ten seconds that are to pass."""


class WatchedShop:
    """A store with a clock; a monitor that listens, and workers whose hearts beat unless they are silent."""

    def __init__(self, mongo_uri: str) -> None:
        self.clock = Clock()
        self.store = new_store(mongo_uri, self.clock)
        self.silent: set[str] = set()
        self.deaf = False
        self.look()

    def look(self, waiting_events: int = 0) -> int:
        """What happens within a moment, then a sweep; how many tasks timed out."""
        if not self.deaf:
            self.store.monitors.put(Reading("desk:1", self.clock.now, 0, 0.0, 0.0, 0.0, waiting_events))
            self.store.workers.seen_all(
                WorkerSeen(worker.username, worker.kind, worker.hostname, online=True)
                for worker in self.store.workers.every()
                if worker.username not in self.silent and worker.state != "offline"
            )
        return sweep(self.store, LIMITS)

    def forward(self, span: timedelta) -> int:
        """Lets the time pass with a look every few seconds; how many tasks timed out."""
        end, timed_out = self.clock.now + span, 0
        while self.clock.now < end:
            self.clock.forward(min(end - self.clock.now, timedelta(seconds=10)))
            timed_out += self.look()
        return timed_out

    def claimed(self, task: Task, worker: str) -> Task:
        role = Role.CREATOR if worker.startswith("creator") else Role.WRITER
        return claim(self.store, task.id, task.attempt, worker=worker, role=role).task

    def image(self, order_id: str) -> Task:
        return self.store.tasks.of_order(order_id)[0]

    def card(self, order_id: str) -> Task:
        return self.store.tasks.of_order(order_id)[1]

    def build(self, order_id: str) -> None:
        image = self.claimed(self.image(order_id), "creator-1")
        fold_event(self.store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator-1")

    def tell(self, task: Task, event_type: EventType, **values: object) -> None:
        fold_event(self.store, told(task, event_type, **values), sender=task.worker or "")

    def alarms(self, kind: AlarmKind) -> list[str]:
        return sorted(self.store.alarms.open_subjects(kind))

    def state(self, username: str) -> str:
        return next(worker.state for worker in self.store.workers.every() if worker.username == username)

    def sent(self, kind: LineKind) -> list[OutboxLine]:
        """The lines of a kind that were written since the last look at them; the others are dropped."""
        lines: list[OutboxLine] = []
        while leased := self.store.outbox.lease("test"):
            lines += leased
            self.store.outbox.mark_sent(leased)
        return [line for line in lines if line.kind is kind]
