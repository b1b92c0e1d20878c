"""``docker-compose.yml`` gives each service the settings that it reads, and no secret's value."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from cardshop.containers.secrets import Secrets
from cardshop.settings import Address, variable
from tests.unit.test_documented_settings import SERVICES

REPOSITORY = Path(__file__).parents[2]
COMPOSED: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
MOUNTED = "/run/cardshop"


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """By the last word of its folder, the files that a service may read."""
    return Secrets(tmp_path_factory.mktemp("composed"), Address("cards.example.org", 2121)).shares()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_all_that_it_must_be_given_and_nothing_unknown(service: str) -> None:
    fields = dataclasses.fields(SERVICES[service])
    required = {variable(field.name) for field in fields if field.default is dataclasses.MISSING}
    known = {variable(field.name) for field in fields}

    given = {name.removesuffix("_FILE") if name not in known else name for name in environment(service)}

    assert required - given == set()
    assert given - known == set()


@pytest.mark.parametrize("service", SERVICES)
def test_a_secret_is_given_as_a_file(service: str) -> None:
    secret = {
        variable(field.name) for field in dataclasses.fields(SERVICES[service]) if field.metadata["secret"]
    }

    assert secret & set(environment(service)) == set()


@pytest.mark.parametrize("service", COMPOSED)
def test_each_file_that_a_service_is_told_of_is_laid_out_for_it(
    service: str, shares: dict[str, dict[str, str]]
) -> None:
    words = [*environment(service).values(), *COMPOSED[service].get("command", [])]
    named = {Path(str(word).rpartition("=")[2]).name for word in words if MOUNTED in str(word)}

    folders = [mount.removesuffix(f":{MOUNTED}:ro") for mount in mounts(service) if MOUNTED in mount]
    given = {name for folder in folders for name in shares[Path(folder).name]}
    assert named - given == set()


def environment(service: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSED[service].get("environment", {})
    return found


def mounts(service: str) -> list[str]:
    return [str(mount) for mount in COMPOSED[service].get("volumes", [])]
