"""The page of states, made of the tables: ``python -m scheduler.domain.diagrams > docs/states.md``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from scheduler.domain.states import ATTEMPT_TABLE, IMAGE_TABLE, ORDER_TABLE, SLOT_TABLE, TASK_TABLE

_INTRODUCTION = """\
# States

Made from the tables in `scheduler/domain/states.py`; a test holds this page to them. A move that isn't drawn
is refused: that is how a late or repeated report leaves a state as it is. A state changes by one
compare-and-set in the database, and each change is kept with who, when and why.
"""

_DIAGRAMS: tuple[tuple[str, str, str, Mapping[Any, Any]], ...] = (
    (
        "Order",
        "accepted",
        "Derived from its tasks, but for cancel and ship. A step may be left out when events came late.",
        ORDER_TABLE,
    ),
    (
        "Task",
        "pending",
        "One image to build, or one card to write.",
        TASK_TABLE,
    ),
    ("Attempt", "open", "One attempt of a task. It ends once; a retry is another one.", ATTEMPT_TABLE),
    ("Image", "kept", "In the warehouse, named by what is in it.", IMAGE_TABLE),
    ("Slot", "empty", "The latest moment that its writer told of counts.", SLOT_TABLE),
)


def page() -> str:
    """The page in Markdown, its diagrams in Mermaid."""
    return "\n".join([_INTRODUCTION, *(_section(*diagram) for diagram in _DIAGRAMS)])


def _section(title: str, first: str, sentence: str, table: Mapping[tuple[StrEnum, StrEnum], StrEnum]) -> str:
    labels: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in table.items():
        if after is not state:
            labels.setdefault((state.value, after.value), []).append(event.value)
    arrows = [
        f"    {_name(state)} --> {_name(after)} : {', '.join(events)}"
        for (state, after), events in sorted(labels.items())
    ]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(first)}", *arrows, "```"]
    return "\n".join([f"## {title}", "", sentence, "", *lines, ""])


def _name(state: str) -> str:
    # A hyphen is an operator there.
    return state.replace("-", "_")


if __name__ == "__main__":
    sys.stdout.write(page())
