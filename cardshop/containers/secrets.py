"""Who gets which secret: a folder for each service, with files that only its user can read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.replica_set import (
    ADMINISTRATOR,
    SERVICE_ACCOUNT,
    member_key,
    uri,
)

MOUNTED = Path("/run/cardshop")
"""Where a service finds its files."""

BASES = Path("/bases")
"""Where the seed finds the base images."""

MONGO = Address("mongo", 27017)

SERVICE_USER = 900
"""The user of all images of ours."""

SERVER_USER = 999
"""The user of MongoDB's image and of RabbitMQ's."""

PEOPLE = {"admin": "admin"}
"""User name to role: who can log in to a new shop."""

MACHINES = {
    "creator-1": "creator",
    "writer-1": "writer",
    "warehouse": "warehouse",
    "monitor": "monitor",
    "beat": "beat",
}
"""User name to role."""


class Secrets:
    """All secrets of one composed system, in ``root``.

    Args:
        root: the folder that stays; made and filled where something is missing.
        warehouse: where workers on this machine and on others reach the warehouse; the host is a name of this
            machine, which all certificates get.
    """

    def __init__(self, root: Path, warehouse: Address) -> None:
        self._folder = StackFolder(root)
        self._warehouse = warehouse
        self._authority = Authority(self._folder.inside("tls"))

    def hand_out(self) -> None:
        """Makes what is missing, and lays out each service's files anew."""
        shop = self._shared("mongo-uri") | self._shared("secret.key")
        self._lay("mongo", self._server("mongo") | {"member.key": self._secret("member.key")}, SERVER_USER)
        self._lay("rabbit", self._server("rabbit"), SERVER_USER)
        self._lay("database", {name: self._secret(name) for name in (ADMINISTRATOR, SERVICE_ACCOUNT)})
        self._lay("scheduler", self._server("scheduler") | shop)
        self._lay("seed", shop | self._seed())
        for name in ("monitor", "beat"):
            self._lay(name, self._shared("mongo-uri") | {"password": self.password(name)})
        self._lay("warehouse", self._server("warehouse") | {"password": self.password("warehouse")})
        self._lay("manager", self._server("manager") | {"secret.key": self._secret("manager.key")})
        for name in ("creator-1", "writer-1"):
            self._lay(name, {"password": self.password(name)})

    def password(self, username: str) -> str:
        """The password that an account of :data:`PEOPLE` or :data:`MACHINES` begins with."""
        return self._secret(f"{username}.password")

    def _secret(self, name: str) -> str:
        make = {"member.key": member_key}.get(name)
        return (self._folder.secret(name, make) if make else self._folder.secret(name)).read_text()

    def _shared(self, name: str) -> dict[str, str]:
        if name == "mongo-uri":
            password = self._secret(SERVICE_ACCOUNT)
            return {name: uri(MONGO, MOUNTED / "ca.pem", SERVICE_ACCOUNT, password)}
        return {name: self._secret("scheduler.key")}

    def _server(self, name: str) -> dict[str, str]:
        files = self._authority.server(name, sorted({name, self._warehouse.host}))
        return {
            "tls.pem": files.certificate.read_text(),
            "tls.key": files.key.read_text(),
            "tls.combined.pem": files.combined.read_text(),
        }

    def _seed(self) -> dict[str, str]:
        accounts = {**PEOPLE, **MACHINES}
        seed = {
            "users": [
                {
                    "username": name,
                    "role": role,
                    "password_file": str(MOUNTED / f"{name}.password"),
                    "only_when_missing": name in PEOPLE,
                }
                for name, role in accounts.items()
            ],
            "warehouses": [{"name": "warehouse", **vars(self._warehouse)}],
            "bases_folder": str(BASES),
        }
        passwords = {f"{name}.password": self.password(name) for name in accounts}
        return passwords | {"seed.json": json.dumps(seed, indent=2)}

    def _lay(self, service: str, files: Mapping[str, str], user: int = SERVICE_USER) -> None:
        folder = self._folder.inside("for", service)
        os.chown(folder, user, user)
        for name, text in {"ca.pem": self._authority.certificate_file.read_text(), **files}.items():
            write_private(folder / name, text)
            os.chown(folder / name, user, user)
