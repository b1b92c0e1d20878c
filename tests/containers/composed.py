"""The composed system as a test sees it: ``docker-compose.yml`` under a name, folder and ports of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardshop.contract.errors import CardshopError
from cardshop.programs import Completed, run
from cardshop.scheduler_client import SchedulerClient
from cardshop.stack.ports import PASSIVE_PORTS, free_block, free_port
from tests.containers.daemon import Docker

REPOSITORY = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "tests/containers/compose.yml")
COMMAND_SECONDS = 120
BUILD_SECONDS = 1800
UP_SECONDS = 600
ONCE = frozenset({"setup", "database", "seed"})
"""Services that do one thing and end."""


class Composed:
    """One composed system with all of its own in ``root``, where other users may look in.

    ``slot`` is the writer's virtual slot, ``mirror`` is served to the others as ``http://mirror:8000/``.
    """

    def __init__(self, docker: Docker, root: Path, images: Mapping[str, str], bases: Path) -> None:
        self._docker = docker
        self._name = f"cardshop-test-{os.getpid()}"
        self.slot, self.mirror = root / "slot", root / "mirror"
        for folder in (root, self.slot, self.mirror):
            folder.mkdir(exist_ok=True)
        self.slot.chmod(0o777)
        first = free_block(PASSIVE_PORTS)
        self._port = free_port()
        self.environment = {
            **docker.environment,
            **images,
            "COMPOSE_PROJECT_NAME": self._name,
            "CARDSHOP_FOLDER": str(root / "cardshop"),
            "CARDSHOP_BASES": str(bases),
            "CARDSHOP_PRIVATE_MIRRORS": "mirror",
            "CARDSHOP_SCHEDULER_PORT": str(self._port),
            "CARDSHOP_BROKER_PORT": str(free_port()),
            "CARDSHOP_WAREHOUSE_PORT": str(free_port()),
            "CARDSHOP_PASSIVE_PORTS": f"{first}-{first + 3}",
            "CARDSHOP_MANAGER_PORT": str(free_port()),
            "TEST_MIRROR": str(self.mirror),
            "TEST_SLOT": str(self.slot),
        }
        self.ca_file = root / "ca.pem"

    def build(self) -> None:
        self.compose("build", "--quiet", timeout=BUILD_SECONDS)

    def up(self) -> None:
        """Starts all. Raises CardshopError with the last lines of the services that are not well."""
        try:
            self.compose("up", "--detach", "--no-build", timeout=UP_SECONDS)
        except CardshopError as error:
            raise AssertionError(f"{error.sentence}\n{error.hint}\n{self.logs()}") from error
        self.ca_file.write_text(self.compose("exec", "-T", "scheduler", "cat", "/run/cardshop/ca.pem").text)

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", timeout=UP_SECONDS)

    def compose(self, *words: str, timeout: float = COMMAND_SECONDS) -> Completed:
        """``docker-compose WORDS``. Raises ProgramFailed."""
        files = [word for name in FILES for word in ("--file", name)]
        return run(
            [*_command(), *files, *words],
            timeout=timeout,
            cwd=REPOSITORY,
            env=self.environment,
        )

    def first_password(self, username: str) -> str:
        return self.compose("run", "--rm", "--no-deps", "setup", "password", username).text.strip()

    def api(self, username: str, password: str) -> SchedulerClient:
        return SchedulerClient(f"https://localhost:{self._port}", self.ca_file, username, password)

    def containers(self) -> dict[str, dict[str, Any]]:
        """By service, what Docker knows of its container."""
        label = f"label=com.docker.compose.project={self._name}"
        ids = self._docker.run("ps", "--all", "--quiet", "--filter", label).text.split()
        found = json.loads(self._docker.run("inspect", *ids).text)
        return {item["Config"]["Labels"]["com.docker.compose.service"]: item for item in found}

    def health(self) -> dict[str, str]:
        """By service that goes on running, ``healthy``, or ``running`` where none asks."""
        states = {name: item["State"] for name, item in self.containers().items() if name not in ONCE}
        return {name: state.get("Health", state)["Status"] for name, state in states.items()}

    def image_file(self, name: str) -> str:
        """The text of a file that the warehouse keeps."""
        return self.compose("exec", "-T", "warehouse", "cat", f"/var/lib/cardshop/images/{name}").text

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "15").text


def installed() -> bool:
    """Whether ``docker-compose`` or the plugin ``docker compose`` is there."""
    return bool(shutil.which("docker-compose")) or (
        run(["docker", "compose", "version"], timeout=COMMAND_SECONDS, allowed=range(256)).status == 0
    )


def _command() -> Sequence[str]:
    return ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")
