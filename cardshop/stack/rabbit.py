"""RabbitMQ for the stack: Debian's broker, run by us with its own name, folders and ports, TLS only.

Its settings are the templates in the folder ``rabbit/`` at the top of the repository.
"""

from __future__ import annotations

import os
import secrets
import shutil
import string
from collections.abc import Mapping
from pathlib import Path

from cardshop.contract.errors import Unavailable
from cardshop.private_files import write_private
from cardshop.programs import find
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.ports import LOOPBACK
from cardshop.stack.service import Service

TEMPLATES = Path(__file__).parents[2] / "rabbit"
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The broker itself; what Debian puts on PATH is a wrapper that runs it as the user ``rabbitmq`` only."""

NODE_NAME = "cardshop@localhost"

PORTS = ("rabbit", "rabbit-distribution", "epmd")


def installed() -> bool:
    """Whether Debian's ``rabbitmq-server`` is there."""
    return os.access(PROGRAM, os.X_OK) and shutil.which("epmd") is not None


class Rabbit:
    """One broker with its data and settings in ``folder``.

    Args:
        folder: where all of it goes.
        authority: signs its certificate, and is what it trusts the scheduler by.
        ports: one for each name in :data:`PORTS`.
        scheduler_url: whom it asks about log-ins and rights.
        templates: folder with the five templates.
    """

    def __init__(
        self,
        folder: StackFolder,
        authority: Authority,
        ports: Mapping[str, int],
        scheduler_url: str,
        templates: Path = TEMPLATES,
    ) -> None:
        self.address = Address(LOOPBACK, ports["rabbit"])
        self._folder = folder
        self._ports = ports
        self._templates = templates
        certificate = authority.server("rabbit")
        self._values = {
            "CARDSHOP_LISTEN": str(self.address),
            "CARDSHOP_TLS_CERT": str(certificate.certificate),
            "CARDSHOP_TLS_KEY": str(certificate.key),
            "CARDSHOP_CA_FILE": str(authority.certificate_file),
            "CARDSHOP_SCHEDULER_URL": scheduler_url,
            "CARDSHOP_DEFINITIONS": str(self._settings_folder() / "definitions.json"),
        }

    def services(self) -> tuple[Service, Service]:
        """The processes to supervise: Erlang's port mapper, then the broker. Writes the settings first.

        Raises:
            Unavailable: RabbitMQ is not installed.
        """
        if not installed():
            raise Unavailable("RabbitMQ is not installed.", hint="Run: make setup")
        self._write_settings()
        epmd_port = str(self._ports["epmd"])
        # Left to itself, the broker starts a port mapper that outlives it and listens on all interfaces.
        port_mapper = Service(
            "epmd",
            (find("epmd"), "-port", epmd_port, "-address", LOOPBACK),
            address=Address(LOOPBACK, self._ports["epmd"]),
        )
        broker = Service(
            "rabbit",
            (str(PROGRAM),),
            self._environment(),
            address=self.address,
            stop_seconds=60,
            folder=self._folder.data("rabbit"),
        )
        return port_mapper, broker

    def _write_settings(self) -> None:
        folder = self._settings_folder()
        main = self._filled("rabbitmq.conf") + self._filled("logins.conf")
        write_private(folder / "rabbitmq.conf", main)
        for name in ("advanced.config", "definitions.json", "enabled_plugins"):
            write_private(folder / name, self._filled(name))

    def _filled(self, name: str) -> str:
        return string.Template((self._templates / name).read_text()).substitute(self._values)

    def _environment(self) -> dict[str, str]:
        folder = self._settings_folder()
        home = self._folder.data("rabbit")
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(20))
        return {
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": NODE_NAME,
            "RABBITMQ_DIST_PORT": str(self._ports["rabbit-distribution"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-",
            # Without a shell between: the process that the supervisor knows is the broker itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _settings_folder(self) -> Path:
        return self._folder.inside("settings", "rabbit")
