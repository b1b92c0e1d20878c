"""Folding: what workers told becomes what the shop knows, a batch of events at a time.

A batch costs a handful of calls to the database however many events it has: its tasks are read at once, each
task's events are folded in memory by the pure rules, and the results are written in bulk by compare-and-set.
Only a task that changes its state takes a transaction, since its order follows in the same one.

Folding a batch again changes nothing, and two monitors may fold the same task at the same time: the one that
comes second finds another revision, reads the task anew, and the ordinals tell what is folded already.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import Event, EventType, Log, SlotChanged
from scheduler.domain.retrying import lacks_image, tried_again
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import Distrusted, Ignored, Overtaken, Task, TaskKind, fold
from scheduler.shop import notices
from scheduler.shop.dispatching import dispatch
from scheduler.shop.following import follow
from scheduler.shop.maintenance import consuming_line
from scheduler.shop.tasks import WORKER_ROLES
from scheduler.store.store import Store
from scheduler.store.task_logs import LogEntry
from scheduler.store.users import User
from scheduler.store.workers import SlotSeen, WorkerSeen

ORDERS_IN_ONE_TRANSACTION = 20
"""More would save commits, and make it likelier that another transaction is in the way."""

_ONLINE_AFTER = {
    EventType.WORKER_ONLINE: True,
    EventType.WORKER_HEARTBEAT: True,
    EventType.WORKER_OFFLINE: False,
}


@dataclass(frozen=True)
class Told:
    """An event, and who told it."""

    event: Event
    sender: str  # the broker's validated user


def fold_event(store: Store, event: Event, *, sender: str) -> None:
    """As :func:`fold_events`, for one event. Raises MessageRejected when it must not be believed."""
    refused = fold_events(store, [Told(event, sender)])
    if refused:
        raise refused[0]


def fold_events(store: Store, batch: Sequence[Told]) -> dict[int, MessageRejected]:
    """Keeps what the events tell; folding them again changes nothing.

    Returns:
        For each event that must not be believed its place in the batch, and why. All others are kept.
    """
    return _Batch(store, batch).fold()


class _Batch:
    """One batch on its way into the database; events are named by their place in it."""

    def __init__(self, store: Store, batch: Sequence[Told]) -> None:
        self._store = store
        self._batch = batch
        self._now = store.clock()
        self._refused: dict[int, MessageRejected] = {}
        self._senders: Mapping[str, User] = {}
        self._hands_free = False  # a worker came, or ended a task: it may take one that waits
        self._without_image: set[str] = set()  # write tasks
        self._overtaken: set[tuple[str, int, str]] = set()  # task, attempt, node

    def fold(self) -> dict[int, MessageRejected]:
        self._senders = self._store.users.among({told.sender for told in self._batch})
        believed = [place for place in range(len(self._batch)) if self._is_worker(place)]
        self._fold_workers(believed)
        by_task: dict[str, list[int]] = {}
        for place in believed:
            task_id = self._batch[place].event.task_id
            if task_id is not None:
                by_task.setdefault(task_id, []).append(place)
        if by_task:
            self._fold_tasks(by_task)
        if self._hands_free:
            dispatch(self._store)
        for task_id, attempt, node in sorted(self._overtaken):
            self._store.outbox.ask_to_stop(task_id, attempt, node)
        return self._refused

    def _is_worker(self, place: int) -> bool:
        event, sender = self._batch[place].event, self._batch[place].sender
        account = self._senders.get(sender)
        if account is None or account.role not in WORKER_ROLES.values():
            self._refuse(place, f"{sender!r} is no worker.", "user_id")
        elif account.disabled:
            # Its connection may be older than that. What it tells of itself would fill the dead letters.
            if event.task_id is not None:
                self._refuse(place, f"The account {sender!r} is disabled.", "user_id")
            return False
        elif event.hostname.partition("@")[0] != sender:
            self._refuse(place, f"{sender!r} tells of {event.hostname!r}.", "hostname")
        return place not in self._refused

    def _fold_workers(self, places: Iterable[int]) -> None:
        seen: dict[str, WorkerSeen] = {}
        slots: list[SlotSeen] = []
        came: set[str] = set()
        for place in places:
            event, sender = self._batch[place].event, self._batch[place].sender
            if event.type in _ONLINE_AFTER:
                role, online = self._senders[sender].role, _ONLINE_AFTER[event.type]
                seen[sender] = WorkerSeen(sender, role, event.hostname, online)
                if event.type is EventType.WORKER_ONLINE:
                    came.add(sender)
            elif isinstance(event.body, SlotChanged):
                card = wire.to_wire(event.body.card)
                slots.append(SlotSeen(sender, event.body.slot, card, _said_at(event)))
        self._store.workers.seen_all(seen.values())
        self._tell_drained_creators(came)
        self._store.workers.slots_changed(slots)

    def _tell_drained_creators(self, came: set[str]) -> None:
        """A process that is new takes tasks until it is told not to."""
        self._hands_free |= bool(came)
        creators = {name for name in came if self._senders[name].role is Role.CREATOR}
        if creators:
            drained = sorted(creators & self._store.drains.now().keys())
            self._store.outbox.add([consuming_line(creator) for creator in drained])

    def _fold_tasks(self, by_task: Mapping[str, Sequence[int]]) -> None:
        """Folds until nobody else's change was in the way."""
        lines: dict[int, LogEntry] = {}
        settled = False
        while not settled:
            tasks = self._store.tasks.by_ids(by_task)
            changed: list[tuple[Task, Task]] = []
            moved: dict[str, list[str]] = {}
            for task_id, places in by_task.items():
                before = tasks.get(task_id)
                if before is None:
                    self._refuse_all(places, f"There is no task {task_id}.")
                    continue
                after = self._folded(before, places)
                if len(after.history) != len(before.history):
                    moved.setdefault(before.order_id, []).append(task_id)
                elif after is not before:
                    changed.append((before, after))
                lines.update(self._lines(after, places))
            settled = self._store.tasks.replace_all(changed)
            self._move(moved, by_task)
        self._store.task_logs.add_all(lines[place] for place in sorted(lines))

    def _move(self, moved: Mapping[str, Sequence[str]], by_task: Mapping[str, Sequence[int]]) -> None:
        """Folds the tasks that change their state, by order, together with what follows for the orders."""
        orders = list(moved)
        for start in range(0, len(orders), ORDERS_IN_ONE_TRANSACTION):
            together = orders[start : start + ORDERS_IN_ONE_TRANSACTION]
            task_ids = [task_id for order_id in together for task_id in moved[order_id]]
            self._store.transaction(functools.partial(self._move_together, task_ids, by_task))

    def _move_together(
        self, task_ids: Sequence[str], by_task: Mapping[str, Sequence[int]], session: Any
    ) -> None:
        changed: list[tuple[Task, Task]] = []
        for task_id, before in self._store.tasks.by_ids(task_ids, session).items():
            after = self._folded(before, by_task[task_id])
            if after is not before:
                changed.append((before, after))
        # A change of another's after this transaction began ends it, and it begins anew.
        self._store.tasks.replace_all(changed, session)
        followed: dict[str, str] = {}
        for before, after in changed:
            if len(after.history) != len(before.history):
                followed[after.order_id] = after.history[-1].who
                self._hands_free |= after.final or after.attempt > before.attempt
                notices.task_moved(self._store, before, after, session)
            if before.id in self._without_image:
                # The next round has it built anew.
                self._store.images.lose(before.image_digest, before.begun_at, session)
            if _has_new_image(before, after):
                warehouse = self._store.warehouses.every()[0].name
                self._store.images.keep(after.outcome or {}, warehouse, session, who=after.history[-1].who)
        for order_id, who in followed.items():
            follow(self._store, order_id, session, who=who)

    def _folded(self, task: Task, places: Sequence[int]) -> Task:
        """The task after its events; what must not be believed is refused on the way."""
        for place in self._without_old_progress(places):
            told = self._batch[place]
            self._refused.pop(place, None)  # of an earlier look at the task
            role = self._senders[told.sender].role
            if role is not WORKER_ROLES[task.kind]:
                why = f"a {role} tells of a task of the kind {task.kind}"
                self._refuse(place, f"{told.sender!r} is not believed: {why}.", "user_id")
                continue
            after = fold(task, told.event, sender=told.sender, at=self._now)
            if isinstance(after, Distrusted):
                self._refuse(place, f"{told.sender!r} is not believed: {after.why}.", "user_id")
            elif isinstance(after, Overtaken):
                self._overtaken.add((task.id, told.event.attempt, told.event.hostname))
            elif not isinstance(after, Ignored):
                if lacks_image(after):
                    self._without_image.add(task.id)
                task = tried_again(after, self._now)
        return task

    def _without_old_progress(self, places: Sequence[int]) -> list[int]:
        """Leaves out each progress that the next one of the same claim overtakes: that one says it all."""
        needed: list[int] = []
        at: int | None = None  # where the newest progress stands in it, while only lines of log came after it
        for place in places:
            told = self._batch[place]
            if told.event.type is EventType.TASK_PROGRESS:
                if at is not None and _overtakes(told, self._batch[needed[at]]):
                    needed[at] = place
                    continue
                at = len(needed)
            elif told.event.type is not EventType.TASK_LOG:
                at = None
            needed.append(place)
        return needed

    def _lines(self, task: Task, places: Sequence[int]) -> dict[int, LogEntry]:
        """What is told for the task's log, by those that have the task or had it in an earlier attempt."""
        lines = {}
        for place in places:
            event, sender = self._batch[place].event, self._batch[place].sender
            if isinstance(event.body, Log) and place not in self._refused and task.was_with(sender):
                lines[place] = LogEntry(task.id, event.ordinal, _said_at(event), event.body.lines)
        return lines

    def _refuse_all(self, places: Iterable[int], sentence: str) -> None:
        for place in places:
            self._refuse(place, sentence, "uuid")

    def _refuse(self, place: int, sentence: str, field: str) -> None:
        self._refused[place] = MessageRejected(sentence, field=field)


def _overtakes(later: Told, earlier: Told) -> bool:
    of_one_claim = later.sender == earlier.sender and later.event.ordinal[:2] == earlier.event.ordinal[:2]
    return of_one_claim and later.event.seq > earlier.event.seq


def _has_new_image(before: Task, after: Task) -> bool:
    succeeded = after.state is TaskState.SUCCEEDED and before.state is not TaskState.SUCCEEDED
    return succeeded and after.kind is TaskKind.CREATE and after.outcome is not None


def _said_at(event: Event) -> datetime:
    return datetime.fromtimestamp(event.timestamp, UTC)
