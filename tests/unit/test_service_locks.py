"""The packages of each service's image are those that the tests ran with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SERVICES = ("scheduler", "monitor", "beat", "creator", "writer", "warehouse", "manager")


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """By package, its version and its hashes."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())
    found = [re.match(r"([a-z0-9-]+)==(\S+)", block) for block in blocks]
    return {
        match[1]: (match[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)))
        for match, block in zip(found, blocks, strict=True)
        if match
    }


def asked_for(extra: str) -> set[str]:
    """The packages that the project names for a service."""
    names = set()
    for requirement in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        if inner := re.fullmatch(r"cardshop\[(\w+)\]", requirement):
            names |= asked_for(inner[1])
        else:
            names.add(re.split(r"[\[<>=]", requirement, maxsplit=1)[0])
    return names


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_versions_that_were_tested_and_all_that_it_asks_for(service: str) -> None:
    tested, locked = pins(REPOSITORY / "requirements.lock"), pins(REPOSITORY / service / "requirements.lock")

    assert asked_for(service) - set(locked) == set()
    assert {name: pin for name, pin in locked.items() if tested.get(name) != pin} == {}
    assert all(hashes for _, hashes in locked.values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_lock_holds_no_address(service: str) -> None:
    assert "://" not in (REPOSITORY / service / "requirements.lock").read_text()
