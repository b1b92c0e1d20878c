"""The one supervisor: supervisord, told what to run by a file, and spoken to over its Unix socket."""

from __future__ import annotations

import os
import shlex
import sys
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from cardshop.contract.errors import InvalidInput, NotFound, Unavailable
from cardshop.private_files import write_private
from cardshop.programs import run
from cardshop.settings import PREFIX
from cardshop.stack.folder import StackFolder
from cardshop.stack.service import Service

LONGEST_SOCKET_PATH = 100
"""Characters; Linux cuts the path of a Unix socket at 108, and supervisord adds some while it makes it."""

STARTED_SECONDS = 1
"""A process that lives this long counts as started."""

START_TRIES = 30
"""In a row; each waits a second longer than the one before."""

LOG_BYTES = 20_000_000

MARK = "CARDSHOP_STACK"
"""Each process of a stack has this variable (the stack's folder): so the last one is found and ended."""


@dataclass(frozen=True)
class ServiceState:
    """What the supervisor says of a service. ``since`` is in seconds of the epoch, 0 when it never ran."""

    name: str
    state: str
    pid: int
    since: int

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.state == "RUNNING"


class Supervisor:
    """supervisord of the stack in ``folder``."""

    def __init__(self, folder: StackFolder) -> None:
        self._folder = folder
        self._socket = folder.inside("run") / "supervisor.sock"
        self._settings = folder.inside("settings") / "supervisord.conf"
        if len(str(self._socket)) > LONGEST_SOCKET_PATH:
            raise InvalidInput(
                f"The path of the stack's folder is too long: {folder.root}",
                hint="Choose another with --folder, or move the checkout.",
            )

    def start(self, services: Iterable[Service]) -> None:
        """Starts supervisord itself; no service yet. Raises ProgramFailed."""
        write_private(self._settings, self._configuration(services))
        # Variables of ours in the caller's shell must not reach the services.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self._settings],
            timeout=120,
            cwd=self._folder.root,
            env={**environment, MARK: str(self._folder.root)},
        )

    def runs(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except Unavailable:
            return False
        return True

    def states(self) -> list[ServiceState]:
        """All services, in the order of their start. Raises Unavailable."""
        found = self._call("getAllProcessInfo")
        return [ServiceState(item["name"], item["statename"], item["pid"], item["start"]) for item in found]

    def state(self, name: str) -> ServiceState:
        """One service. Raises NotFound, Unavailable."""
        for state in self.states():
            if state.name == name:
                return state
        raise NotFound(f"There is no service {name} in the stack.")

    def start_service(self, name: str) -> None:
        """Asks for the start of a service; returns before it is up. Nothing when it runs already."""
        self._call("startProcess", name, False)

    def stop_service(self, name: str) -> None:
        """Ends a service and waits for its end. Nothing when it doesn't run."""
        self._call("stopProcess", name, True)

    def send_signal(self, name: str, signal_name: str) -> None:
        """Sends a signal (``KILL``, ``STOP``) to the process of a service."""
        self._call("signalProcess", name, signal_name)

    def shut_down(self) -> None:
        """Asks supervisord to end all, the last started first, and itself. Returns before that is done."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultString.split(":")[0] in {"ALREADY_STARTED", "NOT_RUNNING"}:
                return None
            if fault.faultString.startswith("BAD_NAME"):
                raise NotFound(f"There is no service {arguments[0]} in the stack.") from fault
            raise Unavailable(f"The supervisor refused {method}: {fault.faultString}") from fault
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise Unavailable("The stack does not run.", hint="Run: make up") from error
        finally:
            cast("Any", transport).close()

    def _configuration(self, services: Iterable[Service]) -> str:
        run_folder = self._folder.inside("run")
        head: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self._socket, "chmod": "0600"},
            "supervisord": {
                "logfile": self._folder.log("supervisord"),
                "pidfile": run_folder / "supervisord.pid",
                "childlogdir": run_folder,
                "logfile_maxbytes": LOG_BYTES,
                "nocleanup": "true",
                "minfds": 1024,
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        programs = {
            f"program:{service.name}": self._program(service, place) for place, service in enumerate(services)
        }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())
            for name, options in {**head, **programs}.items()
        )

    def _program(self, service: Service, place: int) -> dict[str, object]:
        return {
            "command": _escaped(shlex.join(service.argv)),
            "environment": ",".join(
                f'{name}="{_escaped(value)}"' for name, value in service.environment.items()
            ),
            "directory": _escaped(str(service.folder)),
            "priority": place + 1,
            "autostart": "false",
            "autorestart": "true",
            "startsecs": STARTED_SECONDS,
            "startretries": START_TRIES,
            "stopwaitsecs": service.stop_seconds,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escaped(str(self._folder.log(service.name))),
            "stdout_logfile_maxbytes": LOG_BYTES,
            "stdout_logfile_backups": 3,
            "umask": "077",
        }


def required_plain(path: Path) -> Path:
    """The path, when it has no character with a meaning in supervisord's file. Raises InvalidInput."""
    if any(character in str(path) for character in "\"'\n;#"):
        raise InvalidInput(f"The stack can't live in a folder with quotes, ; or # in its name: {path}")
    return path


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
