"""Tasks: what is done for an order, step by step; and the one call that workers make."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cardshop.contract.errors import NotFound
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Signature, Told
from scheduler.api.services import Services
from scheduler.domain import tasks as rules
from scheduler.domain.rights import Right, sees_all
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.shop.access import claim_answer
from scheduler.shop.accounts import Caller
from scheduler.shop.tasks import claim


class Change(Told):
    """One line of a history."""

    at: Moment
    who: str
    event: str
    from_state: str = Field(serialization_alias="from")
    to_state: str = Field(serialization_alias="to")
    why: str

    @classmethod
    def of(cls, change: rules.Change) -> Change:
        """The line as told."""
        return cls(
            at=change.at,
            who=change.who,
            event=change.event,
            from_state=change.from_state,
            to_state=change.to_state,
            why=change.why,
        )


class Progress(Told):
    """How far a phase is; ``total`` is 0 while it is unknown."""

    phase: str
    done: int
    total: int
    unit: str
    at: Moment


class Task(Told):
    """A task."""

    id: str
    order_id: str
    kind: TaskKind
    unit: int  # which card of the order; 0 for the image
    state: TaskState
    attempt: int
    worker: str | None
    slot: str | None
    image_digest: str
    progress: Progress | None
    waiting_for: dict[str, Any] | None  # {"slot", "why"}
    outcome: dict[str, Any] | None
    error: dict[str, Any] | None  # {"code", "sentence", "hint", "field", "retryable"}
    created_at: Moment
    updated_at: Moment
    history: list[Change]

    @classmethod
    def of(cls, task: rules.Task) -> Task:
        """The task as told."""
        return cls(
            id=task.id,
            order_id=task.order_id,
            kind=task.kind,
            unit=task.unit,
            state=task.state,
            attempt=task.attempt,
            worker=task.worker,
            slot=(task.outcome or task.waiting_for or {}).get("slot"),
            image_digest=task.image_digest,
            progress=Progress(**task.progress) if task.progress else None,
            waiting_for=_plain(task.waiting_for),
            outcome=_plain(task.outcome),
            error=_plain(task.error),
            created_at=task.created_at,
            updated_at=task.updated_at,
            history=[Change.of(change) for change in task.history],
        )


class LogQuery(Given):
    """Which lines."""

    text: str = Field(default="", max_length=200, description="only lines with this text, in any case")


class LogSearch(Given):
    """Which lines of all tasks."""

    text: str = Field(
        min_length=1, max_length=200, description="words that stand beside each other in a line"
    )


class LogPart(Told):
    """Lines that a worker told at one moment."""

    task_id: str
    attempt: int
    at: Moment
    lines: list[str]


class TaskLogLines(Listed[LogPart]):
    """A task's log; it keeps its newest mebibyte."""

    dropped_lines: int  # the oldest ones, that had to make room


class ClaimRequest(Given):
    """The attempt that the worker's message names."""

    attempt: int = Field(ge=1)


class Access(Told):
    """Where the image goes to or comes from, and the token to show there."""

    host: str
    port: int
    token: str
    expires_at: str


class Claim(Told):
    """The task is the worker's now. A creator's claim holds the recipe's secrets."""

    version: int
    task_id: str
    attempt: int
    claim: int
    warehouse: Access
    card_configuration: dict[str, Any] | None
    passport: Signature | None  # goes onto the card


class TaskItem(Resource):
    """``/v1/tasks/{task_id}``."""

    @operation("Show a task", Right.READ_TASKS, answer=Task)
    def get(self, caller: Caller, task_id: str) -> Task:
        """The task."""
        return Task.of(_seen_task(self.services, task_id, caller))


class TaskLog(Resource):
    """``/v1/tasks/{task_id}/log``."""

    @operation("Show what a task's workers told", Right.READ_TASKS, query=LogQuery, answer=TaskLogLines)
    def get(self, caller: Caller, task_id: str, query: LogQuery) -> TaskLogLines:
        """All attempts, in the order in which it was told."""
        _seen_task(self.services, task_id, caller)
        logs = self.services.store.task_logs
        parts = [LogPart(**vars(part)) for part in logs.of_task(task_id, query.text)]
        return TaskLogLines(items=parts, total=len(parts), dropped_lines=logs.dropped(task_id))


class TaskLogSearch(Resource):
    """``/v1/task-logs``."""

    @operation(
        "Search the logs of all tasks", Right.SEARCH_TASK_LOGS, query=LogSearch, answer=Listed[LogPart]
    )
    def get(self, query: LogSearch) -> Listed[LogPart]:
        """The newest lines with these words."""
        parts = [LogPart(**vars(part)) for part in self.services.store.task_logs.search(query.text)]
        return Listed[LogPart](items=parts, total=len(parts))


class TaskClaims(Resource):
    """``/v1/tasks/{task_id}/claims``."""

    @operation("Claim a task", Right.CLAIM_TASKS, body=ClaimRequest, answer=Claim, status=201)
    def post(self, caller: Caller, task_id: str, body: ClaimRequest) -> Claim:
        """The worker has the task; events of an earlier claim are refused from here on."""
        services = self.services
        claimed = claim(services.store, task_id, body.attempt, worker=caller.username, role=caller.role)
        answer = claim_answer(services.store, services.signing, services.seal, claimed)
        return Claim(**answer.to_wire())


def _seen_task(services: Services, task_id: str, caller: Caller) -> rules.Task:
    task = services.store.tasks.get(task_id)
    if not sees_all(caller.role):
        order = services.store.orders.get(task.order_id)
        if order.draft.owner != caller.username:
            raise NotFound(f"There is no task {task_id}.")
    return task


def _plain(fields: Any) -> dict[str, Any] | None:
    return None if fields is None else dict(fields)
