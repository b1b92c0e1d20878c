"""The admin's guide has every setting that the code reads, with its default and its meaning."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import beat.settings
import creator.settings
import manager.settings
import monitor.settings
import scheduler.settings
import warehouse.settings
import writer.settings
from cardshop.settings import variable

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "admin.md").read_text()
SERVICES: dict[str, Any] = {
    "beat": beat.settings.Settings,
    "creator": creator.settings.Settings,
    "manager": manager.settings.Settings,
    "monitor": monitor.settings.Settings,
    "scheduler": scheduler.settings.Settings,
    "warehouse": warehouse.settings.Settings,
    "writer": writer.settings.Settings,
}


def rows() -> set[tuple[str, str, str, str]]:
    """Service, variable, default and meaning of each setting, as the guide's table should have them."""
    return {
        (service, f"`{variable(field.name)}`", default_of(field), field.metadata["hint"])
        for service, settings in SERVICES.items()
        for field in dataclasses.fields(settings)
    }


def default_of(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "must be given"
    return "none" if field.default in (None, "", ()) else f"`{field.default}`"


def documented() -> set[tuple[str, ...]]:
    lines = GUIDE.partition("## Settings")[2].splitlines()
    return {tuple(line.strip("| ").split(" | ")) for line in lines if "`CARDSHOP_" in line}


def test_each_setting_has_its_line_and_no_line_is_stale() -> None:
    expected = rows()

    missing = "\n".join(f"| {' | '.join(row)} |" for row in sorted(expected - documented()))
    assert missing == "", "these lines are missing in docs/admin.md"
    assert documented() - expected == set()


def test_each_variable_of_the_compose_file_is_explained() -> None:
    used = set(re.findall(r"\$\{(CARDSHOP_\w+)", (REPOSITORY / "docker-compose.yml").read_text()))

    explained = GUIDE.partition("## Variables of docker-compose.yml")[2].partition("\n## ")[0]
    assert {name for name in used if f"`{name}`" not in explained} == set()
