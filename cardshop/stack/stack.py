"""The stack as a whole: up, down, and what stands now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import requests

from cardshop.contract.errors import CardshopError, Unavailable
from cardshop.programs import run
from cardshop.stack import leftovers
from cardshop.stack.cards import Cards
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.mail import StackMail
from cardshop.stack.ports import kept_ports, require_free
from cardshop.stack.service import Service
from cardshop.stack.services import PORT_NAMES, Services
from cardshop.stack.shape import Shape
from cardshop.stack.supervisor import ServiceState, Supervisor, required_plain
from cardshop.stack.waiting import listens, wait_for

READY_SECONDS = 240.0
"""For one service; RabbitMQ takes 8 on a small machine, and more when all start at once."""

SHUT_DOWN_SECONDS = 120.0
SEED_SECONDS = 240.0
LAST_LINES = 5

Observe = Callable[[str, str], None]
"""Told a service's name and what happens to it: ``starting``, ``ready``."""


def nobody(_service: str, _what: str) -> None:
    """The observer that doesn't care."""


class Stack:
    """One stack, all of it in ``root``. Base images are in the folder ``bases`` beside it."""

    def __init__(self, root: Path, shape: Shape | None = None, mail: StackMail | None = None) -> None:
        shape = shape or Shape()
        self.folder = StackFolder(required_plain(root.resolve()))
        self.cards = Cards(self.folder, tuple(shape.writer_slots.values()))
        self.bases = self.folder.root.parent / "bases"
        self.ports_file = self.folder.root / "stack.json"
        self.ports = kept_ports(self.ports_file, PORT_NAMES)
        self.authority = Authority(self.folder.inside("tls"))
        self.services = Services(self.folder, self.authority, self.ports, self.bases, shape, self.cards, mail)
        self.supervisor = Supervisor(self.folder)

    def runs(self) -> bool:
        """Whether the supervisor is up (single services may be down)."""
        return self.supervisor.runs()

    def up(self, observe: Observe = nobody) -> None:
        """Starts what doesn't run, in order, each when the one before is ready.

        Raises:
            Unavailable: a service didn't get ready; its last log lines are the hint.
            Conflict: a port is taken by another program.
        """
        services = self.services.all()
        if not self.runs():
            leftovers.end(self.folder.root)
            require_free(self.ports, self.ports_file)
            self.supervisor.start(services)
        for service in services:
            self.start_service(service, observe)
            if service.name == "mongod":
                self.services.mongod.ready()
            if service.name == "scheduler":
                self._seed()

    def down(self) -> bool:
        """Ends all, the last started first, and leaves no process. False when nothing ran."""
        ran = self.runs()
        if ran:
            supervised = leftovers.processes(self.folder.root)
            self.supervisor.shut_down()
            leftovers.wait(supervised, SHUT_DOWN_SECONDS)
        return leftovers.end(self.folder.root) > 0 or ran

    def restart(self, name: str, observe: Observe = nobody) -> None:
        """Stops one service, starts it and waits until it is ready. Raises NotFound, Unavailable."""
        self.supervisor.stop_service(name)
        self.start(name, observe)

    def start(self, name: str, observe: Observe = nobody) -> None:
        """Starts one service and waits until it is ready. Raises NotFound, Unavailable."""
        self.supervisor.state(name)
        self.start_service(next(item for item in self.services.all() if item.name == name), observe)

    def start_service(self, service: Service, observe: Observe = nobody) -> None:
        """As :meth:`start`, for a service already looked up."""
        observe(service.name, "starting")
        self.supervisor.start_service(service.name)
        try:
            wait_for(service.name, lambda: self._ready(service), READY_SECONDS)
        except CardshopError as error:
            raise Unavailable(error.sentence, hint=self._last_lines(service.name)) from error
        observe(service.name, "ready")

    def states(self) -> list[ServiceState]:
        """What the supervisor says of each service. Raises Unavailable."""
        return self.supervisor.states()

    def _ready(self, service: Service) -> bool:
        state = self.supervisor.state(service.name)
        if state.state == "FATAL":
            raise Unavailable(f"{service.name} ends as soon as it is started.")
        if not state.running:
            return False
        if service.name == "scheduler":
            return self._healthy(f"{self.services.scheduler_url}/v1/health")
        return service.address is None or listens(service.address)

    def _healthy(self, url: str) -> bool:
        try:
            return requests.get(url, verify=str(self.authority.certificate_file), timeout=5).ok
        except requests.RequestException:
            return False

    def _seed(self) -> None:
        scheduler = self.services.scheduler()
        self.bases.mkdir(exist_ok=True)
        run(
            [*scheduler.argv, "seed", "--file", self.services.write_seed()],
            timeout=SEED_SECONDS,
            cwd=scheduler.folder,
            env={**os.environ, **scheduler.environment},
        )

    def _last_lines(self, name: str) -> str:
        log = self.folder.log(name)
        lines = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:] if log.exists() else []
        return "\n  ".join([f"{log} ends with:", *lines])
