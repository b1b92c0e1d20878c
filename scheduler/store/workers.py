"""The collection ``workers``: creators and writers as their events show them, with their slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from scheduler.domain.slots import Slot, slot_told
from scheduler.domain.states import SlotState
from scheduler.domain.tasks import Change
from scheduler.store.database import Clock, Collection, Database, Document, Session, plain
from scheduler.store.tasks import history

CHANGES_KEPT = 100
"""Of a worker's history."""


@dataclass(frozen=True)
class Worker:
    """A worker that was heard of."""

    username: str
    kind: str  # its account's role
    hostname: str
    state: str  # "online", "offline" (said so) or "silent"
    last_seen: datetime
    slots: tuple[Slot, ...]
    history: tuple[Change, ...] = ()


@dataclass(frozen=True)
class WorkerSeen:
    """What an event tells of its worker."""

    username: str
    kind: str  # its account's role
    hostname: str
    online: bool  # False: it says that it ends


@dataclass(frozen=True)
class SlotSeen:
    """What an event tells of a slot."""

    username: str  # of the writer
    slot: str
    card: Mapping[str, Any] | None
    at: datetime  # by the writer's clock


class Workers:
    """Workers by user name."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._workers: Collection[Document] = database["workers"]
        self._clock = clock

    def prepare(self) -> None:
        """An index for the look-up of those that are online."""
        self._workers.create_index("state")

    def seen(self, username: str, kind: str, hostname: str, *, online: bool) -> None:
        """An event of the worker arrived."""
        self.seen_all([WorkerSeen(username, kind, hostname, online)])

    def seen_all(self, workers: Iterable[WorkerSeen]) -> None:
        """Events of the workers arrived."""
        now = self._clock()
        updates = [UpdateOne({"_id": worker.username}, _seen(worker, now), upsert=True) for worker in workers]
        if updates:
            self._workers.bulk_write(updates, ordered=False)

    def silence(self, worker: Worker, *, who: str, why: str) -> bool:
        """The worker is silent, unless it was heard of since ``worker`` was read."""
        line = Change(self._clock(), who, "silence", worker.state, "silent", why)
        silenced = self._workers.update_one(
            {"_id": worker.username, "state": worker.state, "last_seen": worker.last_seen},
            {
                "$set": {"state": "silent"},
                "$push": {"history": {"$each": [plain(line)], "$slice": -CHANGES_KEPT}},
            },
        )
        return silenced.modified_count == 1

    def slots_changed(self, slots: Iterable[SlotSeen]) -> None:
        """Writers told of slots; what is older than what is known of its slot is ignored."""
        by_worker: dict[str, list[SlotSeen]] = {}
        for seen in slots:
            by_worker.setdefault(seen.username, []).append(seen)
        for username, told in by_worker.items():
            for seen in told:
                self._change_slot(username, seen.slot, self._told(seen))

    def silence_slot(self, username: str, slot: Slot, silenced: Slot) -> bool:
        """The slot is silent, unless it was heard of since ``slot`` was read."""
        return self._replace_slot(username, slot, silenced)

    def forget_slot(self, username: str, slot: Slot) -> None:
        """The writer has the slot no more."""
        self._workers.update_one(
            {"_id": username, f"slots.{slot.slot}.at": slot.at}, {"$unset": {f"slots.{slot.slot}": ""}}
        )

    def every(self, session: Session = None) -> list[Worker]:
        """All workers by name."""
        return [_worker(document) for document in self._workers.find(session=session).sort("_id", 1)]

    def online_names(self, session: Session = None) -> set[str]:
        """Names of the workers that are online."""
        return {
            document["_id"]
            for document in self._workers.find({"state": "online"}, {"_id": 1}, session=session)
        }

    def _told(self, seen: SlotSeen) -> Callable[[Slot | None], Slot | None]:
        now = self._clock()
        return lambda before: slot_told(before, seen.slot, seen.card, at=seen.at, who=seen.username, now=now)

    def _change_slot(self, username: str, name: str, decide: Callable[[Slot | None], Slot | None]) -> None:
        """Changes a slot by compare-and-set on the moment that was told of it last."""
        while True:
            document = self._workers.find_one({"_id": username}, {"slots": 1})
            if document is None:
                return
            found = document["slots"].get(name)
            before = _slot(found) if found else None
            after = decide(before)
            if after is None or self._replace_slot(username, before, after):
                return

    def _replace_slot(self, username: str, before: Slot | None, after: Slot) -> bool:
        path = f"slots.{after.slot}"
        unchanged: Document = (
            {f"{path}.at": before.at, f"{path}.state": before.state.value}
            if before
            else {path: {"$exists": False}}
        )
        replaced = self._workers.update_one({"_id": username, **unchanged}, {"$set": {path: plain(after)}})
        return replaced.matched_count == 1


def _seen(worker: WorkerSeen, now: datetime) -> list[Document]:
    """The update of a worker that was heard of; a change of its state is kept in the same operation."""
    state = "online" if worker.online else "offline"
    kept = {"$ifNull": ["$history", []]}
    line = {
        "at": now,
        "who": worker.username,
        "event": "seen" if worker.online else "leave",
        "from_state": {"$ifNull": ["$state", ""]},
        "to_state": state,
        "why": "",
    }
    longer = {"$slice": [{"$concatArrays": [kept, [line]]}, -CHANGES_KEPT]}
    fields = {
        "kind": str(worker.kind),
        "hostname": {"$literal": worker.hostname},
        "state": state,
        "last_seen": now,
        "slots": {"$ifNull": ["$slots", {}]},
        "history": {"$cond": [{"$eq": ["$state", state]}, kept, longer]},
    }
    return [{"$set": fields}]


def _worker(document: Document) -> Worker:
    return Worker(
        username=document["_id"],
        kind=document["kind"],
        hostname=document["hostname"],
        state=document["state"],
        last_seen=document["last_seen"],
        slots=tuple(_slot(document["slots"][name]) for name in sorted(document["slots"])),
        history=history(document["history"]),
    )


def _slot(document: Document) -> Slot:
    return Slot(
        **{**document, "state": SlotState(document["state"]), "history": history(document["history"])}
    )
