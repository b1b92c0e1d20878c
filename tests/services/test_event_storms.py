"""Events in any order, repeated, late, from wrong senders; people and time in between: against a model.

The real code folds them into a real MongoDB. The model beside it is written anew, from what the documentation
says: it knows of each task who has it, and that only that one's news counts, once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cardshop.contract.errors import Conflict, MessageRejected, TaskCanceled, Unavailable
from cardshop.contract.events import Event, EventType, Failure, Progress, Waiting
from scheduler.domain.retrying import LONGEST_PAUSE, MOST_TRIES
from scheduler.domain.rights import Role
from scheduler.domain.silence import Limits
from scheduler.domain.states import AttemptState, OrderState, TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import orders, retrying
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import Told, fold_events
from scheduler.shop.retrying import JUST_BEGUN
from scheduler.shop.silence import sweep
from scheduler.shop.tasks import QUIET_BEFORE_TAKEOVER, claim
from scheduler.store.monitors import Reading
from scheduler.store.outbox import LineKind
from scheduler.store.store import Store
from tests.real_services import RealMongod
from tests.shop import Clock, a_draft, card_written, image_built, new_store

LIMITS = Limits(worker=timedelta(hours=1), slot=timedelta(hours=1), task=timedelta(seconds=20))
WORKERS = {"image": ("creator-1", "creator-2"), "card": ("writer-1", "writer-2")}
KEPT = {"users", "workers", "warehouses", "rounds"}
"""Collections that stay from one storm to the next: a database is made once, and emptied."""

ENDS = {"done", "failed", "canceled"}
SHOWN = {
    TaskState.PENDING: {"blocked", "resting", "free"},
    TaskState.QUEUED: {"free"},
    TaskState.RECEIVED: {"received"},
    TaskState.STARTED: {"working"},
    TaskState.WAITING_FOR_CARD: {"working"},
    TaskState.STOPPING: {"stopping"},
    TaskState.SUCCEEDED: {"done"},
    TaskState.FAILED: {"failed"},
    TaskState.TIMED_OUT: {"failed"},
    TaskState.CANCELED: {"canceled"},
}
FAILED_FOR_NOW = Failure("unavailable", "The warehouse does not answer.", retryable=True)
FAILED = Failure("card-failed", "The card died.")


@dataclass
class Model:
    """What is known of one task."""

    state: str
    attempt: int = 1
    claim: int = 0
    owner: str = ""
    folded: int = 0
    tries: int = 0
    begun: bool = False

    def anew(self, state: str, *, by_itself: bool = False) -> None:
        """A new attempt, or the end of all tries."""
        if by_itself and self.begun and self.tries >= MOST_TRIES:
            self.state = "failed"
            return
        self.tries = self.tries + self.begun if by_itself else 0
        self.attempt, self.claim, self.owner, self.folded, self.begun = self.attempt + 1, 0, "", 0, False
        self.state = state


@dataclass
class Grant:
    """A claim that a worker was given; it goes on with it whatever becomes of the task."""

    name: str
    task_id: str
    attempt: int
    claim: int
    worker: str
    seq: int = 0


class Storm(RuleBasedStateMachine):
    """One order for one card."""

    store: Store
    clock: Clock

    @initialize()
    def place(self) -> None:
        for name in self.store._database.list_collection_names():
            if name not in KEPT:
                self.store._database[name].delete_many({})
        self.digest = secrets.token_hex(32)
        self.order_id = orders.place(self.store, a_draft(quantity=1, image_digest=self.digest)).id
        self.models = {"image": Model("free"), "card": Model("blocked")}
        self.grants: list[Grant] = []
        self.events: list[tuple[str, Event, str]] = []
        self.canceled = False
        self.reached: list[OrderState] = []

    # What workers do.

    @rule(name=st.sampled_from(["image", "card"]), first=st.booleans())
    def claim(self, name: str, first: bool) -> None:
        task, model = self._task(name), self.models[name]
        worker = WORKERS[name][0 if first else 1]
        if name == "card" and task.worker is not None:
            worker = task.worker
        if model.claim and model.owner != worker:
            if self.clock.now - task.updated_at < QUIET_BEFORE_TAKEOVER:
                with pytest.raises((Unavailable, TaskCanceled)):
                    self._claim(task, worker)
            self.clock.forward(QUIET_BEFORE_TAKEOVER + timedelta(seconds=1))
        if model.state == "stopping" and model.owner != worker:
            return  # whether it may be claimed is nobody's business: it is refused either way
        if model.state in ("free", "received", "working"):
            claimed = self._claim(task, worker)
            model.state, model.claim, model.owner = "working", model.claim + 1, worker
            model.folded, model.begun = 0, True
            assert (claimed.attempt, claimed.claim) == (model.attempt, model.claim)
            self.grants.append(Grant(name, task.id, model.attempt, model.claim, worker))
            return
        if name == "card" and task.worker is None:
            return
        with pytest.raises(TaskCanceled):
            self._claim(task, worker)
        if model.state == "stopping":
            model.state = "canceled"

    @rule(
        which=st.integers(0), what=st.sampled_from(["start", "go", "wait", "end", "fail", "for-now", "stop"])
    )
    def say(self, which: int, what: str) -> None:
        """A worker says something of a claim that it was given; it is on its way."""
        if not self.grants:
            return
        grant = self.grants[which % len(self.grants)]
        grant.seq += 1
        made = image_built(self.digest) if grant.name == "image" else card_written(digest=self.digest)
        kinds: dict[str, tuple[EventType, Any]] = {
            "start": (EventType.TASK_STARTED, None),
            "go": (EventType.TASK_PROGRESS, Progress("write", grant.seq, 100, "bytes")),
            "wait": (EventType.TASK_WAITING, Waiting("A", "Put a card in.")),
            "end": (EventType.TASK_SUCCEEDED, made),
            "fail": (EventType.TASK_FAILED, FAILED),
            "for-now": (EventType.TASK_FAILED, FAILED_FOR_NOW),
            "stop": (EventType.TASK_REVOKED, None),
        }
        event_type, body = kinds[what]
        event = Event(
            type=event_type,
            hostname=f"{grant.worker}@desk",
            timestamp=self.clock.now.timestamp(),
            task_id=grant.task_id,
            attempt=grant.attempt,
            claim=grant.claim,
            seq=grant.seq,
            body=body,
        )
        self.events.append((grant.name, event, what))

    @rule(batch=st.lists(st.integers(0), min_size=1, max_size=4))
    def deliver(self, batch: list[int]) -> None:
        """Some of what was said arrives, in any order, perhaps not for the first time."""
        if not self.events:
            return
        arriving = [self.events[which % len(self.events)] for which in batch]
        told = [Told(event, event.hostname.partition("@")[0]) for _, event, _ in arriving]
        assert fold_events(self.store, told) == {}
        for name, event, what in arriving:
            self._folded(self.models[name], event, what)
        self._image_is_there()

    @rule(name=st.sampled_from(["image", "card"]))
    def receive(self, name: str) -> None:
        """A worker has the message."""
        task, model = self._task(name), self.models[name]
        if model.state != "free":
            return
        worker = task.worker or WORKERS[name][0]
        event = Event(
            type=EventType.TASK_RECEIVED,
            hostname=f"{worker}@desk",
            timestamp=0.0,
            task_id=task.id,
            attempt=model.attempt,
            claim=0,
            seq=1,
            body=None,
        )
        assert fold_events(self.store, [Told(event, worker)]) == {}
        model.state = "received"

    @rule(
        which=st.integers(0), sender=st.sampled_from([name for names in WORKERS.values() for name in names])
    )
    def forge(self, which: int, sender: str) -> None:
        """A worker tells of what another one has, under its own name or under that one's."""
        if not self.events:
            return
        _, event, _ = self.events[which % len(self.events)]
        if event.hostname == f"{sender}@desk":
            return
        assert fold_events(self.store, [Told(event, sender)])
        fold_events(self.store, [Told(replace(event, hostname=f"{sender}@desk"), sender)])

    @rule(which=st.integers(0), later=st.sampled_from([(1, 0), (0, 1)]))
    def invent(self, which: int, later: tuple[int, int]) -> None:
        """A worker tells of a claim that it was never given."""
        if not self.events:
            return
        name, event, _ = self.events[which % len(self.events)]
        model = self.models[name]
        attempt = model.attempt + later[0]
        claimed = 1 if later[0] else model.claim + 1
        invented = replace(event, attempt=attempt, claim=claimed)
        (refused,) = fold_events(self.store, [Told(invented, event.hostname.partition("@")[0])]).values()
        assert isinstance(refused, MessageRejected)

    # What people do.

    @rule()
    def cancel(self) -> None:
        orders.cancel(self.store, self.order_id, who="operator")
        if self.canceled:
            return
        self.canceled = True
        for model in self.models.values():
            if model.state == "working":
                model.state = "stopping"
            elif model.state not in ENDS:
                model.state = "canceled"

    @rule()
    def retry(self) -> None:
        if not self._asked(retrying.retry):
            return
        for model in self.models.values():
            if model.state == "failed":
                model.anew("free")
            elif model.state == "resting":
                model.state = "free"

    @rule()
    def requeue(self) -> None:
        self.clock.forward(JUST_BEGUN + timedelta(seconds=1))
        if not self._asked(retrying.requeue):
            return
        for model in self.models.values():
            if model.state in ("received", "working", "failed") or model.state == "free":
                model.anew("free")
            elif model.state == "resting":
                model.state = "free"

    # What time does.

    @rule()
    def pause(self) -> None:
        self.clock.forward(LONGEST_PAUSE)
        dispatch(self.store)
        for model in self.models.values():
            if model.state == "resting":
                model.state = "free"

    @rule()
    def silence(self) -> None:
        """Nothing is told of any task for longer than the limit, though all workers are there and idle."""
        sent = {name for name in self.models if self._task(name).state is TaskState.QUEUED}
        for _ in range(3):
            self.clock.forward(timedelta(seconds=11))
            self.store.monitors.put(Reading("desk:1", self.clock.now, 0, 0.0, 0.0, 0.0, 0))
            sweep(self.store, LIMITS)
        for name, model in self.models.items():
            if model.state == "stopping":
                model.state = "canceled"
            elif model.state in ("received", "working") or name in sent:
                model.anew("free", by_itself=True)

    # What must hold after each of them.

    @invariant()
    def each_task_is_where_the_model_says(self) -> None:
        for name, model in self.models.items():
            task = self._task(name)
            assert model.state in SHOWN[task.state], (name, task, model)
            assert (task.attempt, task.claim, task.tries) == (model.attempt, model.claim, model.tries)
            if model.claim:
                assert task.worker == model.owner

    @invariant()
    def each_change_is_kept_and_begins_where_the_last_one_ended(self) -> None:
        for name in self.models:
            task = self._task(name)
            for before, after in pairwise(task.history):
                assert after.from_state == before.to_state
                assert after.at >= before.at
            if task.history:
                assert task.history[-1].to_state == task.state
            numbers = [attempt.number for attempt in task.attempts]
            assert numbers == list(range(1, len(numbers) + 1))
            assert all(attempt.ended_at for attempt in task.attempts[:-1])
            good = [attempt for attempt in task.attempts if attempt.state is AttemptState.SUCCEEDED]
            assert len(good) == (task.state is TaskState.SUCCEEDED)

    @invariant()
    def the_order_follows_its_tasks_and_a_cancel_stays(self) -> None:
        order = self.store.orders.get(self.order_id)
        if self.canceled:
            assert order.state is OrderState.CANCELED
        elif "failed" not in (model.state for model in self.models.values()):
            assert order.state is not OrderState.FAILED
        assert (order.state is OrderState.WRITTEN) == (
            self.models["card"].state == "done" and not self.canceled
        )

    @invariant()
    def each_attempt_is_sent_to_workers_once(self) -> None:
        sent = []
        while lines := self.store.outbox.lease("storm"):
            sent += [(line.task_id, line.message["attempt"]) for line in lines if line.message]
            assert all(line.message for line in lines if line.kind is LineKind.TASK)
            self.store.outbox.mark_sent(lines)
        self.sent = [*getattr(self, "sent", []), *sent]
        assert len(self.sent) == len(set(self.sent))

    def _folded(self, model: Model, event: Event, what: str) -> None:
        if (event.attempt, event.claim) != (model.attempt, model.claim):
            return
        if model.state == "stopping" and what in ("end", "fail", "for-now", "stop"):
            if what == "stop" or event.seq > model.folded:
                model.state = "canceled"
            return
        if model.state != "working" or what == "start" or (event.seq <= model.folded and what != "stop"):
            return
        match what:
            case "end":
                model.state = "done"
            case "fail":
                model.state = "failed"
            case "for-now":
                model.anew("resting", by_itself=True)
            case "stop":
                model.anew("free", by_itself=True)
            case _:
                model.folded = event.seq

    def _image_is_there(self) -> None:
        card = self.models["card"]
        if self.models["image"].state == "done" and card.state == "blocked":
            card.state = "free"

    def _asked(self, ask: Any) -> bool:
        try:
            ask(self.store, self.order_id, who="operator")
        except Conflict:
            return False
        return True

    def _task(self, name: str) -> Task:
        return self.store.tasks.of_order(self.order_id)[0 if name == "image" else 1]

    def _claim(self, task: Task, worker: str) -> Task:
        role = Role.CREATOR if worker.startswith("creator") else Role.WRITER
        return claim(self.store, task.id, task.attempt, worker=worker, role=role).task


def test_no_storm_of_events_brings_a_task_where_it_may_not_be(mongod: RealMongod) -> None:
    class Here(Storm):
        """In the store of this test."""

    Here.clock = Clock()
    Here.store = new_store(mongod.uri, Here.clock)
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
