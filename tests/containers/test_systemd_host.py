"""A technician's walk on a fresh host with systemd: a container that boots, with the tool installed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cardshop.programs import run
from tests.containers.composed import REPOSITORY
from tests.containers.conftest import BUILD_SECONDS
from tests.containers.daemon import Docker
from tests.containers.images import base_image
from tests.customers import CARD_BYTES, Customer
from tests.journeys.test_technician import code_from_manager, online
from tests.real_stack import RealStack
from tests.workers import until

pytestmark = pytest.mark.timeout(3600)

HOST_IMAGE = "cardshop-test/writers-host"
TOOL = "writer-helper"
BOOT_SECONDS = 60
RACK = "/srv/rack"
"""Where the host sees what the test gives it."""

SYSTEMD_NEEDS = (
    *("--cap-add", "SYS_ADMIN"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--cgroupns", "private", "--tmpfs", "/sys/fs/cgroup", "--tmpfs", "/run", "--tmpfs", "/run/lock"),
)
"""Control groups of its own, and the right to mount; not this machine's devices."""


class Host:
    """The booted host; commands run in it as root."""

    def __init__(self, daemon: Docker, name: str) -> None:
        self._daemon = daemon
        self._name = name

    def tool(self, *words: str, typed: str = "") -> Any:
        """What ``writer-helper WORDS --json`` answers."""
        return json.loads(self.run(TOOL, *words, "--json", typed=typed))

    def run(self, *words: str, typed: str = "") -> str:
        return self._daemon.run(
            "exec", "--interactive", self._name, *words, stdin=typed.encode(), timeout=120
        ).text

    def booted(self) -> bool:
        state = self._daemon.run(
            "exec", self._name, "systemctl", "is-system-running", allowed=range(256)
        ).text.strip()
        return state in {"running", "degraded"}


@pytest.fixture
def host(engine: Docker, rack: Path) -> Iterator[Host]:
    """A fresh host, on this machine's network; ``rack`` is its ``/srv/rack``."""
    dockerfile = REPOSITORY / "tests" / "containers" / "host.Dockerfile"
    base = os.environ.get("CARDSHOP_BASE") or base_image(engine)
    build: list[str | Path] = ["build", "--quiet", "--build-arg", f"BASE={base}"]
    run(["make", "deb"], cwd=REPOSITORY, timeout=BUILD_SECONDS)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(REPOSITORY / "dist", Path(scratch, "dist"))
        engine.run(*build, "--file", dockerfile, "--tag", HOST_IMAGE, scratch, timeout=BUILD_SECONDS)
    name = f"cardshop-test-host-{os.getpid()}"
    share = ("--network", "host", "--volume", f"{rack}:{RACK}")
    engine.run("run", "--detach", "--rm", "--name", name, *SYSTEMD_NEEDS, *share, HOST_IMAGE)
    try:
        booted = Host(engine, name)
        until("systemd is up", booted.booted, BOOT_SECONDS)
        yield booted
    finally:
        engine.run("stop", name, timeout=120)


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    """What both the host and this test see: the authority, the slot, the images."""
    (tmp_path / "slot").mkdir()
    return tmp_path


def test_on_a_fresh_host_with_systemd_a_card_is_written(stack: RealStack, host: Host, rack: Path) -> None:
    customer = Customer(stack, megabytes=5)
    (rack / "ca.pem").write_text(stack.ca_file.read_text())
    broker = str(stack.stack.services.rabbit.address)

    host.tool(
        "configure", "new", "--run", "systemd", "--scheduler", stack.scheduler_url,
        "--ca-file", f"{RACK}/ca.pem", "--broker", broker, "--data", f"{RACK}/data",
    )  # fmt: skip
    host.tool("configure", "slot", "A", f"{RACK}/slot", "--virtual")
    enrolled = host.tool("enrol", typed=f"{code_from_manager(stack, 'rack-3')}\n")
    network = host.tool("network")
    for other in ("writer-1", "writer-2"):
        stack.stop(other)
    try:
        host.tool("start")
        [running] = host.tool("status")
        until("the writer is online", lambda: "rack-3-a" in online(stack), 60)
        order_id = customer.place(cards=1)
        with (rack / ".card-1").open("xb") as card:
            card.truncate(CARD_BYTES)
        (rack / ".card-1").rename(rack / "slot" / "card-1")
        order = customer.wait_state(order_id, "written", "failed")
        log = host.run(TOOL, "logs", "A", "--lines", "500")
        host.tool("stop")
        left = host.run("sh", "-c", "ls /etc/systemd/system")
    finally:
        for other in ("writer-1", "writer-2"):
            stack.start(other)

    assert enrolled == {"accounts": {"A": "rack-3-a"}}
    assert {verdict["mark"] for verdict in network} == {"good"}
    assert (running["running"], running["at_boot"]) == (True, True)
    assert running["writer"] == "unit cardshop-writer-A.service"
    assert order["state"] == "written", log
    assert "event='starting'" in log
    assert "cardshop-writer" not in left
