"""The whole stack as a test sees it: every service of ours, real, under its supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kombu import Connection

from cardshop import broker
from cardshop.scheduler_client import SchedulerClient
from cardshop.stack import leftovers
from cardshop.stack.shape import Shape
from cardshop.stack.stack import Stack
from tests.real_services import PATIENCE_SECONDS


class RealStack:
    """A running stack.

    ``stack`` is what ``python -m cardshop.stack`` uses: ``stack.cards`` has the virtual slots,
    ``stack.ports`` the ports, ``stack.folder`` the paths.
    """

    def __init__(self, root: Path, shape: Shape | None = None) -> None:
        self.stack = Stack(root, shape)
        self.cards = self.stack.cards
        self.ca_file = self.stack.authority.certificate_file
        self.scheduler_url = self.stack.services.scheduler_url
        self.manager_url = self.stack.services.manager_url
        self.warehouse_port = self.stack.ports["warehouse"]

    def password(self, username: str) -> str:
        return self.stack.services.password_file(username).read_text()

    def api(self, username: str) -> SchedulerClient:
        return SchedulerClient(self.scheduler_url, self.ca_file, username, self.password(username))

    def broker_connection(self, username: str, password: str = "") -> Connection:
        """A connection to RabbitMQ for the test itself, not open yet; the right password where none is given.

        It has time: RabbitMQ asks the scheduler about each log-in.
        """
        address = self.stack.services.rabbit.address
        password = password or self.password(username)
        made = broker.connection(address.host, address.port, username, password, self.ca_file)
        return made.clone(connect_timeout=PATIENCE_SECONDS)

    def log(self, name: str) -> str:
        return self.stack.folder.log(name).read_text(errors="replace")

    def pid(self, name: str) -> int:
        return self.stack.supervisor.state(name).pid

    def kill(self, name: str, signal_name: str = "KILL") -> int:
        """Sends a signal and waits for the end of the process; its pid. The supervisor starts another."""
        pid = self.pid(name)
        self.stack.supervisor.send_signal(name, signal_name)
        leftovers.wait([pid], PATIENCE_SECONDS)
        return pid

    def wait_back(self, name: str, old_pid: int) -> int:
        """Waits until the supervisor has started a killed service again, and it is ready; its new pid."""
        wait_until(f"{name} is back", lambda: self.pid(name) not in {0, old_pid}, PATIENCE_SECONDS)
        self.start(name)
        return self.pid(name)

    def stop(self, name: str) -> None:
        self.stack.supervisor.stop_service(name)

    def start(self, name: str) -> None:
        self.stack.start(name)

    def restart(self, name: str) -> None:
        self.stack.restart(name)


def wait_until(promise: str, holds: Callable[[], bool], seconds: float) -> None:
    """Returns when ``holds()`` is true; fails the test after ``seconds``."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {promise}"
        time.sleep(0.2)
