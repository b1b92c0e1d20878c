"""The tasks that wait for their turn, out of the collection ``tasks``; and when each channel had its last.

What waits is read by lane (a priority and a channel in it), the first ones of each: no other can be next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne

from scheduler.domain.dispatching import Priority, Standing, Waiting
from scheduler.domain.states import FINAL_TASK_STATES, TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.store.database import Clock, Collection, Database, Document, Session

_IN_HAND = [state.value for state in TaskState if state not in FINAL_TASK_STATES | {TaskState.PENDING}]
_PENDING_CARD = {"state": TaskState.PENDING.value, "kind": TaskKind.WRITE.value}
_FIELDS = (
    "order_id",
    "order_number",
    "unit",
    "priority",
    "channel",
    "image_digest",
    "ready_at",
    "work_bytes",
)
_PLACE = {"order_number": 1, "unit": 1}


@dataclass(frozen=True)
class Load:
    """Tasks of one kind that are at the broker or at workers, counted."""

    tasks: int
    by_worker: Mapping[str | None, int]  # None: no worker has them yet
    by_channel: Mapping[str, int]
    images: frozenset[str]  # digests


class Queue:
    """Waiting tasks, tasks in hand, and the collection ``turns``."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._clock = clock
        self._tasks: Collection[Document] = database["tasks"]
        self._turns: Collection[Document] = database["turns"]

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._tasks.create_index(
            [("kind", 1), ("priority", 1), ("channel", 1), ("order_number", 1), ("unit", 1)],
            name="queue",
            partialFilterExpression={"state": TaskState.PENDING.value},
        )
        self._tasks.create_index([("image_digest", 1), ("kind", 1), ("state", 1)])
        self._turns.create_index("_id.kind")

    def waiting(
        self, kind: TaskKind, *, per_lane: int | None, without: Container[str] = (), session: Session = None
    ) -> list[Waiting]:
        """What may go to the broker: ready and not held.

        Args:
            kind: of the tasks; of create tasks for one image only the first of each lane is told.
            per_lane: how many of each lane, the first ones; None: all.
            without: digests of images whose tasks are left out.
            session: the transaction that it is part of.
        """
        match = {**_waiting(kind, self._clock()), "held": False}
        if without:
            match["image_digest"] = {"$nin": list(without)}
        lane = {"priority": "$priority", "channel": "$channel"}
        steps: list[Document] = [{"$match": match}, {"$sort": _PLACE}]
        if kind is TaskKind.CREATE:
            first = {"_id": {**lane, "image_digest": "$image_digest"}, "task": {"$first": "$$ROOT"}}
            steps += [{"$group": first}, {"$replaceRoot": {"newRoot": "$task"}}, {"$sort": _PLACE}]
        if per_lane is not None:
            firsts = {"$firstN": {"input": "$$ROOT", "n": per_lane}}
            steps += [
                {"$group": {"_id": lane, "tasks": firsts}},
                {"$unwind": "$tasks"},
                {"$replaceRoot": {"newRoot": "$tasks"}},
            ]
        steps.append({"$project": dict.fromkeys(_FIELDS, 1)})
        return [_read(document) for document in self._tasks.aggregate(steps, session=session)]

    def loads(self, session: Session = None) -> dict[TaskKind, Load]:
        """What is in hand, of each kind; read at once."""
        fields = {"_id": 0, "kind": 1, "worker": 1, "channel": 1, "image_digest": 1}
        tasks: dict[TaskKind, list[Document]] = {kind: [] for kind in TaskKind}
        for task in self._tasks.find({"state": {"$in": _IN_HAND}}, fields, session=session):
            tasks[TaskKind(task["kind"])].append(task)
        return {kind: _load(of_kind) for kind, of_kind in tasks.items()}

    def standings(self, kind: TaskKind, load: Load, session: Session = None) -> dict[str, Standing]:
        """What each channel has in hand, as ``load`` tells, and when it was served last."""
        in_hand = load.by_channel
        served: dict[str, datetime] = {
            turn["_id"]["channel"]: turn["at"]
            for turn in self._turns.find({"_id.kind": kind.value}, session=session)
        }
        channels = in_hand.keys() | served.keys()
        return {channel: Standing(in_hand.get(channel, 0), served.get(channel)) for channel in channels}

    def served(self, kind: TaskKind, channels: Iterable[str], at: datetime, session: Session) -> None:
        """The channels had their turn."""
        turns = [
            UpdateOne({"_id": {"kind": kind.value, "channel": channel}}, {"$set": {"at": at}}, upsert=True)
            for channel in sorted(channels)
        ]
        if turns:
            self._turns.bulk_write(turns, ordered=False, session=session)

    def images_in_hand(self, session: Session = None) -> frozenset[str]:
        """Digests of the images that are being built, or are about to be."""
        return self.loads(session)[TaskKind.CREATE].images

    def images_awaited(self, session: Session = None) -> dict[str, list[str]]:
        """Digest of each image that waiting create tasks are for, with the tasks' ids."""
        match = {**_waiting(TaskKind.CREATE, self._clock()), "held": False}
        group = {"_id": "$image_digest", "tasks": {"$push": "$_id"}}
        groups = self._tasks.aggregate([{"$match": match}, {"$group": group}], session=session)
        return {found["_id"]: found["tasks"] for found in groups}

    def images_of_cards(self, session: Session = None) -> dict[str, list[str]]:
        """Digest of each image that cards wait for writers to write, with the orders' ids."""
        group = {"_id": "$image_digest", "orders": {"$addToSet": "$order_id"}}
        match = {**_PENDING_CARD, "ready_at": {"$ne": None}}
        groups = self._tasks.aggregate([{"$match": match}, {"$group": group}], session=session)
        return {found["_id"]: found["orders"] for found in groups}

    def make_unready(self, order_id: str, session: Session) -> None:
        """The order's image is gone: its cards wait for it again."""
        self._tasks.update_many(
            {**_PENDING_CARD, "order_id": order_id},
            {"$set": {"ready_at": None}, "$inc": {"revision": 1}},
            session=session,
        )

    def make_ready(self, order_id: str, at: datetime, session: Session) -> None:
        """The order's image is there: its cards may go to writers."""
        self._tasks.update_many(
            {**_PENDING_CARD, "order_id": order_id, "ready_at": None},
            {"$set": {"ready_at": at}, "$inc": {"revision": 1}},
            session=session,
        )

    def mark(self, order_id: str, *, held: bool, priority: Priority, session: Session) -> None:
        """What the order's tasks are told of its place in the queue, whatever their state."""
        self._tasks.update_many(
            {"order_id": order_id},
            {"$set": {"held": held, "priority": priority}, "$inc": {"revision": 1}},
            session=session,
        )


def _waiting(kind: TaskKind, now: datetime) -> Document:
    return {"state": TaskState.PENDING.value, "kind": kind.value, "ready_at": {"$lte": now}}


def _load(tasks: Sequence[Document]) -> Load:
    return Load(
        tasks=len(tasks),
        by_worker=Counter(task["worker"] for task in tasks),
        by_channel=Counter(task["channel"] for task in tasks),
        images=frozenset(task["image_digest"] for task in tasks),
    )


def _read(document: Document) -> Waiting:
    fields = {**document, "task_id": document["_id"], "priority": Priority(document["priority"])}
    del fields["_id"]
    return Waiting(**fields)
