"""The collection ``schedules``. Each change is a compare-and-set on the revision: a run has one taker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pymongo.errors import DuplicateKeyError

from cardshop.contract.errors import Conflict, NotFound
from scheduler.domain.orders import Recipient
from scheduler.domain.schedules import JobKind, Missed, Run, RunState, Schedule, StandingOrder, Timing, Work
from scheduler.store.database import Collection, Database, Document, to_document


class Schedules:
    """Schedules by id."""

    def __init__(self, database: Database[Document]) -> None:
        self._schedules: Collection[Document] = database["schedules"]

    def prepare(self) -> None:
        """Makes the index of names; drops entries of an earlier form or kind, beat makes its own anew."""
        self._schedules.delete_many({"work.kind": {"$nin": [kind.value for kind in JobKind]}})
        self._schedules.create_index("name", unique=True)

    def add(self, schedule: Schedule) -> None:
        """Stores a new schedule. Raises Conflict when its name is taken."""
        try:
            self._schedules.insert_one(to_document(schedule))
        except DuplicateKeyError:
            raise _taken(schedule.name) from None

    def ensure(self, schedule: Schedule) -> None:
        """Stores a built-in schedule unless it is there; what people changed in it stays.

        Where a person's schedule has its name, it gets a longer one.
        """
        try:
            self._schedules.update_one(
                {"_id": schedule.id}, {"$setOnInsert": to_document(schedule)}, upsert=True
            )
        except DuplicateKeyError:
            # Where it is there, another beat was first.
            if self._schedules.find_one({"_id": schedule.id}, {"_id": 1}) is None:
                self.ensure(replace(schedule, name=f"{schedule.name} ({schedule.id})"))

    def get(self, schedule_id: str) -> Schedule:
        """The schedule. Raises NotFound."""
        document = self._schedules.find_one({"_id": schedule_id})
        if document is None:
            raise NotFound(f"There is no schedule {schedule_id}.")
        return _schedule(document)

    def every(self) -> list[Schedule]:
        """All schedules by name."""
        return [_schedule(document) for document in self._schedules.find().sort("name", 1)]

    def change(self, schedule_id: str, decide: Callable[[Schedule], Schedule | None]) -> Schedule | None:
        """Stores what ``decide`` makes of the schedule, asked again when another was faster.

        ``decide`` gives the revision one higher, or None to leave all as it is.

        Raises:
            NotFound: there is no such schedule.
            Conflict: its new name is taken.
        """
        while True:
            before = self.get(schedule_id)
            after = decide(before)
            if after is None:
                return None
            try:
                replaced = self._schedules.replace_one(
                    {"_id": schedule_id, "revision": before.revision}, to_document(after)
                )
            except DuplicateKeyError:
                raise _taken(after.name) from None
            if replaced.matched_count:
                return after

    def remove(self, schedule_id: str) -> None:
        """Removes a schedule. Raises NotFound."""
        if not self._schedules.delete_one({"_id": schedule_id}).deleted_count:
            raise NotFound(f"There is no schedule {schedule_id}.")


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a schedule {name} already.", hint="Choose another name.", field="name")


def _schedule(document: Document) -> Schedule:
    work, run, state = document["work"], document["run"], document["last_state"]
    return Schedule(
        **{
            **{key: value for key, value in document.items() if key != "_id"},
            "id": document["_id"],
            "work": Work(**{**work, "kind": JobKind(work["kind"]), "order": _standing_order(work["order"])}),
            "timing": Timing(**document["timing"]),
            "missed": Missed(document["missed"]),
            "run": Run(**run) if run else None,
            "last_state": RunState(state) if state else None,
        }
    )


def _standing_order(document: Document | None) -> StandingOrder | None:
    if document is None:
        return None
    return StandingOrder(**{**document, "recipient": Recipient(**document["recipient"])})
