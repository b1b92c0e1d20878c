"""Who gets which secret: a folder for each service, with files that only its user can read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder, random_password
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

SHELF_URL = "http://shelf:8090/catalog/v2/entries?count=-1"
"""The catalogue of the shop's own ZIM files."""

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


SMTP = "smtp.password"
"""The mail server's password: the admin's to fill in, empty until then."""


def open_shelf(folder: Path) -> None:
    """Lets the services write into the folder of ZIM files. Its owner, who may fill it by hand, stays."""
    os.chown(folder, -1, SERVICE_USER)
    folder.chmod(folder.stat().st_mode | stat.S_IRWXG | stat.S_ISGID)


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
        """Lays out each service's files anew, making what is missing. Needs the right to give files away."""
        for service, share in self.shares().items():
            folder = self._folder.inside("for", service)
            user = SERVER_USER if service in ("mongo", "rabbit") else SERVICE_USER
            os.chown(folder, user, user)
            for name, text in share.items():
                write_private(folder / name, text)
                os.chown(folder / name, user, user)

    def shares(self) -> dict[str, dict[str, str]]:
        """By service, the text of each file that it may read; what is missing is made."""
        database = {"mongo-uri": self._mongo_uri()}
        shop = database | {"secret.key": self._secret("scheduler.key")}
        shares = {
            "mongo": self._server("mongo") | {"member.key": self._secret("member.key")},
            "rabbit": self._server("rabbit"),
            "database": {name: self._secret(name) for name in (ADMINISTRATOR, SERVICE_ACCOUNT)},
            "scheduler": self._server("scheduler") | shop,
            "seed": shop | self._seed(),
            "monitor": database | self._password_file("monitor"),
            "beat": shop | self._password_file("beat") | {SMTP: self._secret(SMTP)},
            "warehouse": self._server("warehouse") | self._password_file("warehouse"),
            "manager": self._server("manager") | {"secret.key": self._secret("manager.key")},
            "creator-1": self._password_file("creator-1"),
            "writer-1": self._password_file("writer-1"),
        }
        authority = self._authority.certificate_file.read_text()
        return {service: {"ca.pem": authority, **share} for service, share in shares.items()}

    def password(self, username: str) -> str:
        """The password that an account of :data:`PEOPLE` or :data:`MACHINES` begins with."""
        return self._secret(f"{username}.password")

    def _password_file(self, username: str) -> dict[str, str]:
        return {"password": self.password(username)}

    def _secret(self, name: str) -> str:
        makers: dict[str, Callable[[], str]] = {"member.key": member_key, SMTP: str}
        return self._folder.secret(name, makers.get(name, random_password)).read_text()

    def _mongo_uri(self) -> str:
        return uri(MONGO, MOUNTED / "ca.pem", SERVICE_ACCOUNT, self._secret(SERVICE_ACCOUNT))

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
            "catalogues": [{"name": "shelf", "url": SHELF_URL}],
        }
        passwords = {f"{name}.password": self.password(name) for name in accounts}
        return passwords | {"seed.json": json.dumps(seed, indent=2)}
