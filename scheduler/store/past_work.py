"""What work took and takes, out of the collection ``tasks``: for estimates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cardshop.contract.events import Phase
from scheduler.domain.estimates import REMEMBERED, Past
from scheduler.domain.states import FINAL_TASK_STATES, TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.store.database import Collection, Database, Document

_IN_HAND = [state.value for state in TaskState if state not in FINAL_TASK_STATES | {TaskState.PENDING}]


@dataclass(frozen=True)
class InHand:
    """A task that is at the broker or at a worker."""

    task_id: str
    order_id: str
    image_digest: str
    work_bytes: int
    begun_at: datetime | None  # None: no worker has begun it


class PastWork:
    """Reads only."""

    def __init__(self, database: Database[Document]) -> None:
        self._tasks: Collection[Document] = database["tasks"]

    def done(self, kind: TaskKind) -> list[Past]:
        """The newest tasks of the kind that a worker did well, the newest first."""
        # A task that took another's image was never claimed.
        match = {"state": TaskState.SUCCEEDED.value, "kind": kind.value, "claim": {"$gt": 0}}
        fields = {"work_bytes": 1, "outcome.seconds": 1}
        found = self._tasks.find(match, fields).sort("created_at", -1).limit(REMEMBERED)
        return [_past(document) for document in found]

    def in_hand(self, kind: TaskKind) -> list[InHand]:
        """The tasks of the kind that workers have, or are about to get."""
        match = {"state": {"$in": _IN_HAND}, "kind": kind.value}
        fields = {"order_id": 1, "image_digest": 1, "work_bytes": 1, "attempts.begun_at": 1}
        return [
            InHand(
                task_id=document["_id"],
                order_id=document["order_id"],
                image_digest=document["image_digest"],
                work_bytes=document.get("work_bytes", 0),
                begun_at=document["attempts"][-1]["begun_at"] if document["attempts"] else None,
            )
            for document in self._tasks.find(match, fields)
        ]


def _past(document: Document) -> Past:
    seconds = dict((document["outcome"] or {}).get("seconds", {}))
    pause = float(seconds.pop(Phase.WAIT.value, 0.0))
    return Past(document.get("work_bytes", 0), float(sum(seconds.values())), pause)
