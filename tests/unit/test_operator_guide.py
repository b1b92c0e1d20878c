"""The operator's guide names each state, error and alarm that an operator may see, and nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from cardshop.contract import errors
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.states import OrderState, TaskState

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs/operator.md").read_text()
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

ERRORS = {
    kind.code
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.CardshopError)
}
OF_TASKS = {"worker-error", TaskState.TIMED_OUT.value}
"""Errors that a task gets without its worker's word: scheduler/domain/tasks.py, orders.py."""


def explained_under(heading: str) -> set[str]:
    """The names that begin the rows of the table under a heading."""
    section = re.split(r"^#+ ", GUIDE.split(f"\n{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \|$", section, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("### Orders", OrderState),
        ("### The image and each card", TaskState),
        ("## 7. When something goes wrong", ERRORS | OF_TASKS),
        ("### Alarms", AlarmKind),
    ],
)
def test_the_guide_explains_all_that_may_be_seen(heading: str, names: Iterable[str]) -> None:
    assert explained_under(heading) == {str(name) for name in names}


def test_each_picture_that_a_page_shows_is_there_and_none_is_left_over() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text())
    }

    assert shown == set((REPOSITORY / "docs/screenshots").glob("*.png"))


def test_no_picture_is_heavier_than_a_page_should_be() -> None:
    heavy = [
        path.name for path in (REPOSITORY / "docs/screenshots").glob("*.png") if path.stat().st_size > 150_000
    ]

    assert heavy == []
