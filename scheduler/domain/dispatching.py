"""Which writer gets which write task. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WriterLoad:
    """A writer that may get work."""

    username: str
    tasks: int  # write tasks that it has and that are not done


def assign(task_ids: Sequence[str], writers: Sequence[WriterLoad]) -> dict[str, str]:
    """The writer of each task: each goes to the one with the fewest, so that slots work side by side.

    Without writers the answer is empty: the tasks wait, and beat asks again.
    """
    loads = {writer.username: writer.tasks for writer in writers}
    assigned: dict[str, str] = {}
    for task_id in task_ids:
        if not loads:
            break
        chosen = min(sorted(loads), key=lambda username: loads[username])
        loads[chosen] += 1
        assigned[task_id] = chosen
    return assigned
