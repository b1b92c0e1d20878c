"""What the shop tries again by itself, how often, and after which pause. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cardshop.contract.errors import NotFound
from scheduler.domain.states import Refused, TaskEvent, TaskState
from scheduler.domain.tasks import Task, TaskKind, move

WHO = "scheduler"

MOST_TRIES = 8
"""Attempts that the shop makes by itself for one task, until a person asks again."""

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
"""Before the first of them, tripled before each that follows; eight outlast an outage of 17 minutes."""


def tried_again(task: Task, at: datetime) -> Task:
    """The task in a new attempt where another try can help; else as it is.

    A failure says itself whether it is one that a retry can mend (a broker or warehouse that is away, a
    mirror that doesn't deliver): a bad recipe and a bad card are not. A task that timed out is always tried
    again; an attempt that no worker had begun doesn't count.
    """
    if not _can_help(task) or (task.tries >= MOST_TRIES and task.begun_now):
        return task
    pause = pause_before(task.tries) if task.state is TaskState.FAILED else timedelta(0)
    why = f"by itself, in {pause.total_seconds():.0f} s" if pause else "by itself"
    again = move(task, TaskEvent.RETRY, who=WHO, at=at, why=why)
    if isinstance(again, Refused):
        return task
    return replace(again, tries=task.tries + task.begun_now, ready_at=at + pause)


def is_given_up(task: Task) -> bool:
    """Whether it timed out in each try: a person must look."""
    return task.state is TaskState.TIMED_OUT


def lacks_image(task: Task) -> bool:
    """Whether a writer found that the warehouse does not keep the image: it is built anew."""
    failed = task.kind is TaskKind.WRITE and task.state is TaskState.FAILED
    return failed and (task.error or {}).get("code") == NotFound.code


def pause_before(tries: int) -> timedelta:
    """The pause before the next try, after so many."""
    return min(timedelta(seconds=FIRST_PAUSE.total_seconds() * 3.0**tries), LONGEST_PAUSE)


def _can_help(task: Task) -> bool:
    if task.state is TaskState.TIMED_OUT:
        return True
    return task.state is TaskState.FAILED and (_is_retryable(task) or lacks_image(task))


def _is_retryable(task: Task) -> bool:
    return bool((task.error or {}).get("retryable"))
