"""RabbitMQ and MongoDB as a test sees them: the stack's own definitions, run without its supervisor."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kombu import Connection

from beat.topology import declare
from cardshop import broker
from cardshop.contract import names
from cardshop.settings import Address
from cardshop.stack import rabbit as stack_rabbit
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.mongod import Mongod
from cardshop.stack.ports import kept_ports
from cardshop.stack.rabbit import Rabbit
from cardshop.stack.service import Service
from cardshop.stack.waiting import listens, wait_for

PATIENCE_SECONDS = 180.0
"""Longest wait for what must come: several processes test at once, each with a broker and a database."""

ACCOUNTS = ("creator-1", "creator-2", "writer-1", "writer-2", "monitor", "beat")
SPEAKS_FOR_OTHERS = "crowd"
"""An account whose messages may name another sender, so that one connection can stand for hundreds."""


class Running:
    """Processes of some services, started in order and ended in the reverse one."""

    def __init__(self, folder: StackFolder, services: Sequence[Service]) -> None:
        self._folder = folder
        self._services = services
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for service in self._services:
            with self._folder.log(service.name).open("ab") as log:
                process = subprocess.Popen(
                    service.argv,
                    env={**os.environ, **service.environment},
                    cwd=service.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._processes[service.name] = process
        for service in self._services:
            self._wait(service)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        for service in reversed(self._services):
            process = self._processes.pop(service.name)
            process.send_signal(how)
            process.wait(max(service.stop_seconds, PATIENCE_SECONDS))

    def _wait(self, service: Service) -> None:
        def ready() -> bool:
            assert self._processes[service.name].poll() is None, self._folder.log(service.name).read_text()
            return service.address is None or listens(service.address)

        wait_for(service.name, ready, PATIENCE_SECONDS)


class RealMongod:
    """A running ``mongod``; ``uri`` is the connection string of its administrator."""

    def __init__(self, root: Path) -> None:
        folder = StackFolder(root)
        port = kept_ports(folder.root / "stack.json", ["mongod"])["mongod"]
        self._mongod = Mongod(folder, Authority(folder.inside("tls")), port)
        self._running = Running(folder, [self._mongod.service()])
        self.uri = self._mongod.administrator_uri()
        self.uri_file = self._mongod.uri_file()

    def start(self) -> None:
        self._running.start()
        self._mongod.ready()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._running.stop(how)


class RealRabbit:
    """A running RabbitMQ, TLS only, that knows :data:`ACCOUNTS` itself: each may do everything.

    ``password`` is the same for all; tests of rights use the whole stack.
    """

    def __init__(self, root: Path) -> None:
        folder = StackFolder(root)
        authority = Authority(folder.inside("tls"))
        ports = kept_ports(folder.root / "stack.json", stack_rabbit.PORTS)
        self.password = secrets.token_hex(16)
        templates = self._templates(root / "templates")
        broker = Rabbit(folder, authority, ports, "https://127.0.0.1:1", templates)
        self.address: Address = broker.address
        self.ca_file = authority.certificate_file
        self.password_file = folder.secret("password", lambda: self.password)
        self._running = Running(folder, broker.services())

    def start(self) -> None:
        self._running.start()

    def connection(self, username: str = "beat") -> Connection:
        """A connection as a service has it; it gives up soon, and is made again."""
        return broker.connection(self.address.host, self.address.port, username, self.password, self.ca_file)

    def patient_connection(self, username: str = "beat") -> Connection:
        """A connection for the test itself, which asks once: a broker that is slow is waited for."""
        return self.connection(username).clone(connect_timeout=PATIENCE_SECONDS)

    def begin_anew(self, *gone: str) -> None:
        """Exchanges and queues as beat declares them, empty. Of the writers ``gone`` there is no queue.

        They are deleted first: what a process of an earlier test had and didn't acknowledge would come back
        into a queue that was only purged.
        """
        queues = [names.CREATE_QUEUE, names.EVENT_QUEUE, names.DEAD_LETTER_QUEUE]
        with self.patient_connection() as connection:
            with connection.channel() as channel:
                for queue in (*queues, *(names.write_queue(writer) for writer in gone)):
                    channel.queue_delete(queue)
            declare(connection, [])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._running.stop(how)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def _templates(self, folder: Path) -> Path:
        shutil.copytree(stack_rabbit.TEMPLATES, folder)
        # A reader that a benchmark holds up for a minute must not lose its connection.
        logins = "auth_backends.1 = internal\ntcp_listen_options.send_timeout = 600000\n"
        (folder / "logins.conf").write_text(logins)
        accounts = {**dict.fromkeys(ACCOUNTS, ""), SPEAKS_FOR_OTHERS: "impersonator"}
        rights = {"vhost": "cardshop", "configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "vhosts": [{"name": "cardshop"}],
            "users": [
                {"name": name, "password_hash": _hashed(self.password), "tags": tags}
                for name, tags in accounts.items()
            ],
            "permissions": [{"user": name, **rights} for name in accounts],
        }
        (folder / "definitions.json").write_text(json.dumps(definitions))
        return folder


def _hashed(password: str) -> str:
    """RabbitMQ's own form: base64 of a 32-bit salt and the SHA-256 of salt and password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
