"""The collection ``tasks``. :meth:`Tasks.apply` and :meth:`Tasks.replace_all` alone change a task's state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import TypeVar

from pymongo import UpdateOne

from cardshop.contract.errors import NotFound
from scheduler.domain.dispatching import Priority
from scheduler.domain.states import AttemptState, TaskState
from scheduler.domain.tasks import Attempt, Change, Task, TaskKind
from scheduler.store.database import Collection, Database, Document, Session, plain, to_document

Answer = TypeVar("Answer")

_FIELDS = tuple(field.name for field in fields(Task))


class Tasks:
    """Tasks by id; ``_id`` is the Celery id."""

    def __init__(self, database: Database[Document]) -> None:
        self._tasks: Collection[Document] = database["tasks"]

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._tasks.create_index([("order_id", 1), ("unit", 1)], unique=True)
        self._tasks.create_index([("state", 1), ("kind", 1), ("created_at", 1)])
        self._tasks.create_index("worker")

    def insert(self, tasks: Iterable[Task], session: Session = None) -> None:
        """Stores new tasks."""
        self._tasks.insert_many([to_document(task) for task in tasks], session=session)

    def get(self, task_id: str, session: Session = None) -> Task:
        """The task. Raises NotFound."""
        document = self._tasks.find_one({"_id": task_id}, session=session)
        if document is None:
            raise NotFound(f"There is no task {task_id}.")
        return _task(document)

    def by_ids(self, task_ids: Iterable[str], session: Session = None) -> dict[str, Task]:
        """Those of the tasks that there are, by id."""
        found = self._tasks.find({"_id": {"$in": list(task_ids)}}, session=session)
        return {document["_id"]: _task(document) for document in found}

    def of_order(self, order_id: str, session: Session = None) -> list[Task]:
        """An order's tasks: the image first, then the cards by unit."""
        found = self._tasks.find({"order_id": order_id}, session=session).sort("unit", 1)
        return [_task(document) for document in found]

    def of_orders(self, order_ids: Iterable[str]) -> dict[str, list[Task]]:
        """The tasks of several orders, by order."""
        tasks: dict[str, list[Task]] = {}
        for document in self._tasks.find({"order_id": {"$in": list(order_ids)}}).sort("unit", 1):
            tasks.setdefault(document["order_id"], []).append(_task(document))
        return tasks

    def of_worker(self, worker: str, states: Iterable[TaskState], session: Session = None) -> list[Task]:
        """The worker's tasks that are in one of ``states``."""
        query = {"worker": worker, "state": {"$in": [state.value for state in states]}}
        return [_task(document) for document in self._tasks.find(query, session=session)]

    def last_of_worker(self, worker: str, *, besides: str) -> Task | None:
        """The worker's task, other than ``besides``, that changed last."""
        found = self._tasks.find({"worker": worker, "_id": {"$ne": besides}}).sort("updated_at", -1).limit(1)
        return next((_task(document) for document in found), None)

    def in_states(self, states: Iterable[TaskState], *, kind: TaskKind | None = None) -> list[Task]:
        """Tasks in one of ``states``, oldest first."""
        query: Document = {"state": {"$in": [state.value for state in states]}}
        if kind:
            query["kind"] = kind.value
        return [_task(document) for document in self._tasks.find(query).sort("created_at", 1)]

    def apply(
        self, task_id: str, decide: Callable[[Task], Task | Answer], session: Session = None
    ) -> tuple[Task, Task | Answer]:
        """Changes a task by compare-and-set on its revision.

        Args:
            task_id: the task.
            decide: pure; gives the changed task (its revision one higher) or the reason why not. It is
                asked again, with the task as it then is, when another process changed it meanwhile.
            session: the transaction that it is part of.

        Returns:
            The task as it was, and what ``decide`` gave.

        Raises:
            NotFound: there is no such task.
        """
        while True:
            task = self.get(task_id, session)
            decided = decide(task)
            if not isinstance(decided, Task):
                return task, decided
            replaced = self._tasks.replace_one(
                {"_id": task_id, "revision": task.revision}, to_document(decided), session=session
            )
            if replaced.matched_count:
                return task, decided

    def replace_all(self, changes: Sequence[tuple[Task, Task]], session: Session = None) -> bool:
        """Writes many changed tasks at once, each by compare-and-set on its revision.

        Args:
            changes: pairs of a task as it was read and as it is to be (its revision is higher).
            session: the transaction that it is part of.

        Returns:
            False when another process changed one of them meanwhile: that one is not written, the rest is.
        """
        if not changes:
            return True
        replacements = [
            UpdateOne({"_id": before.id, "revision": before.revision}, {"$set": _changes(before, after)})
            for before, after in changes
        ]
        done = self._tasks.bulk_write(replacements, ordered=False, session=session)
        return done.matched_count == len(changes)


def _changes(before: Task, after: Task) -> Document:
    """The fields that differ; for a progress that is three of twenty."""
    return {
        name: plain(getattr(after, name))
        for name in _FIELDS
        if getattr(after, name) is not getattr(before, name)
    }


def _task(document: Document) -> Task:
    values = {**document, "id": document["_id"]}
    del values["_id"]
    return Task(
        **{
            **values,
            "kind": TaskKind(document["kind"]),
            "state": TaskState(document["state"]),
            "folded": tuple(document["folded"]),
            "history": history(document["history"]),
            "attempts": tuple(
                Attempt(**{**attempt, "state": AttemptState(attempt["state"])})
                for attempt in document.get("attempts", ())
            ),
            "priority": Priority(document.get("priority", Priority.NORMAL)),
        }
    )


def history(lines: Iterable[Document]) -> tuple[Change, ...]:
    """A record's history out of its document."""
    return tuple(Change(**line) for line in lines)
