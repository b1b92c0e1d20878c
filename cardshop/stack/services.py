"""All services of the stack in the order of their start, with the settings that each one gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.cards import Cards
from cardshop.stack.certificates import HOST_NAME, Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.library import PORTS as LIBRARY_PORTS
from cardshop.stack.library import Library
from cardshop.stack.mail import DOMAIN, StackMail
from cardshop.stack.mongod import Mongod
from cardshop.stack.ports import LOOPBACK, PASSIVE_PORTS
from cardshop.stack.rabbit import PORTS as RABBIT_PORTS
from cardshop.stack.rabbit import Rabbit
from cardshop.stack.service import Service
from cardshop.stack.shape import Shape

PORT_NAMES = (
    "mongod",
    "scheduler",
    *RABBIT_PORTS,
    "warehouse",
    "warehouse-passive",
    "manager",
    *LIBRARY_PORTS,
    "shelf",
)

PEOPLE = {"admin": "admin", "operator": "operator"}
"""User name to role."""

MACHINES = {"warehouse": "warehouse", "monitor": "monitor", "beat": "beat"}
"""User name (and name of the service) to role; the workers' come from the stack's shape."""


class Services:
    """What runs, and how it is started: made from the folder, the authority and the ports alone."""

    def __init__(
        self,
        folder: StackFolder,
        authority: Authority,
        ports: Mapping[str, int],
        bases: Path,
        shape: Shape,
        cards: Cards,
        mail: StackMail | None,
    ) -> None:
        self._folder = folder
        self._authority = authority
        self._ports = ports
        self._bases = bases
        self._shape = shape
        self._cards = cards
        self._mail = mail
        self.scheduler_url = f"https://{LOOPBACK}:{ports['scheduler']}"
        self.manager_url = f"http://{LOOPBACK}:{ports['manager']}"
        self.mongod = Mongod(folder, authority, ports["mongod"])
        self.library = Library(folder, ports)
        self.zims = folder.inside("zims")  # uploads go there, and the shelf offers them
        # By name: Erlang's HTTP client doesn't find an address among a certificate's names.
        self.rabbit = Rabbit(folder, authority, ports, f"https://{HOST_NAME}:{ports['scheduler']}")

    def all(self) -> list[Service]:
        """Every service, in the order of the start: who asks comes after who answers."""
        return [
            self.mongod.service(),
            self.scheduler(),
            *self.rabbit.services(),
            self._python("monitor", self._common() | self._database() | self._broker("monitor")),
            self._python("beat", self._beat()),
            self._python("warehouse", self._warehouse(), self._address("warehouse")),
            self._python("manager", self._manager(), self._address("manager")),
            *(self._python(name, self._creator(name), stop_seconds=60) for name in self._shape.creator_names),
            *(
                self._python(name, self._writer(name, slot), stop_seconds=60)
                for name, slot in self._shape.writer_slots.items()
            ),
            *self.library.services(),
            self._shelf(),
        ]

    def scheduler(self) -> Service:
        """The scheduler alone: its environment serves its commands too."""
        certificate = self._authority.server("scheduler")
        settings = {
            "CARDSHOP_LISTEN": str(self._address("scheduler")),
            "CARDSHOP_TLS_CERT": str(certificate.certificate),
            "CARDSHOP_TLS_KEY": str(certificate.key),
            "CARDSHOP_PAGES_URL": self.manager_url,
        }
        return self._python(
            "scheduler", self._common() | self._database() | settings, self._address("scheduler")
        )

    def password_file(self, username: str) -> Path:
        """File with the password of a person or machine of the stack."""
        return self._folder.secret(f"{username}.password")

    def write_seed(self) -> Path:
        """The file that tells the scheduler what must exist: accounts, the warehouse, the base images."""
        creators = dict.fromkeys(self._shape.creator_names, "creator")
        writers = dict.fromkeys(self._shape.writer_slots, "writer")
        accounts = {**PEOPLE, **MACHINES, **creators, **writers}
        seed = {
            "users": [
                {
                    "username": name,
                    "role": role,
                    "password_file": str(self.password_file(name)),
                    **({"email": f"{name}@{DOMAIN}"} if name in PEOPLE else {}),
                }
                for name, role in accounts.items()
            ],
            "warehouses": [{"name": "warehouse", "host": LOOPBACK, "port": self._ports["warehouse"]}],
            "bases_folder": str(self._bases),
            "catalogues": [
                {"name": "local", "url": self.library.feed_url},
                {"name": "shelf", "url": f"http://{self._address('shelf')}/catalog/v2/entries?count=-1"},
            ],
        }
        path = self._folder.root / "seed.json"
        write_private(path, json.dumps(seed, indent=2) + "\n")
        return path

    def _python(
        self,
        name: str,
        environment: Mapping[str, str],
        address: Address | None = None,
        stop_seconds: int = 30,
    ) -> Service:
        module = name.split("-", maxsplit=1)[0]
        argv = (*self._shape.within.get(name, ()), sys.executable, "-P", "-m", module)
        return Service(name, argv, environment, address, stop_seconds, self._folder.data(name))

    def _common(self) -> dict[str, str]:
        return {
            "CARDSHOP_CA_FILE": str(self._authority.certificate_file),
            "CARDSHOP_LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
        }

    def _database(self) -> dict[str, str]:
        return {
            "CARDSHOP_MONGO_URI_FILE": str(self.mongod.uri_file()),
            "CARDSHOP_SECRET_KEY_FILE": str(self._folder.secret("scheduler.key")),
            "CARDSHOP_PRIVATE_MIRRORS": LOOPBACK,
        }

    def _account(self, username: str) -> dict[str, str]:
        return {
            "CARDSHOP_USERNAME": username,
            "CARDSHOP_PASSWORD_FILE": str(self.password_file(username)),
        }

    def _broker(self, username: str) -> dict[str, str]:
        address = self.rabbit.address
        return self._account(username) | {
            "CARDSHOP_BROKER_HOST": address.host,
            "CARDSHOP_BROKER_PORT": str(address.port),
        }

    def _worker(self, username: str) -> dict[str, str]:
        return self._common() | self._broker(username) | {"CARDSHOP_SCHEDULER_URL": self.scheduler_url}

    def _beat(self) -> dict[str, str]:
        mail = self._mail.environment() if self._mail else {}
        pages = {"CARDSHOP_PAGES_URL": self.manager_url}
        return self._common() | self._database() | self._broker("beat") | pages | mail

    def _creator(self, name: str) -> dict[str, str]:
        return self._worker(name) | {
            "CARDSHOP_WORK": str(self._folder.inside("data", name, "work")),
            "CARDSHOP_CACHE": str(self._folder.inside("data", name, "cache")),
            "CARDSHOP_BASES": str(self._bases),
            "CARDSHOP_BOOT_PROOF": "yes" if self._shape.tries_images else "no",
            "CARDSHOP_PRIVATE_MIRRORS": LOOPBACK,
        }

    def _writer(self, name: str, slot: str) -> dict[str, str]:
        return self._worker(name) | {
            "CARDSHOP_CACHE": str(self._folder.inside("data", "writers-cache")),
            "CARDSHOP_STATE": str(self._folder.inside("data", name, "state")),
            "CARDSHOP_SLOT": slot,
            "CARDSHOP_SLOT_PATH": str(self._cards.slot(slot)),
        }

    def _warehouse(self) -> dict[str, str]:
        certificate = self._authority.server("warehouse")
        first = self._ports["warehouse-passive"]
        return (
            self._common()
            | self._account("warehouse")
            | {
                "CARDSHOP_LISTEN": str(self._address("warehouse")),
                "CARDSHOP_TLS_CERT": str(certificate.certificate),
                "CARDSHOP_TLS_KEY": str(certificate.key),
                "CARDSHOP_SCHEDULER_URL": self.scheduler_url,
                "CARDSHOP_IMAGES": str(self._folder.inside("data", "warehouse", "images")),
                "CARDSHOP_SHELF": str(self.zims),
                "CARDSHOP_PASSIVE_PORTS": f"{first}-{first + PASSIVE_PORTS - 1}",
            }
        )

    def _shelf(self) -> Service:
        address, state = self._address("shelf"), self._folder.data("shelf")
        program = (sys.executable, "-P", "-m", "warehouse.shelf", str(self.zims))
        argv = (*program, "--listen", str(address), "--state", str(state))
        return Service("shelf", argv, {"PYTHONUNBUFFERED": "1"}, address, folder=state)

    def _manager(self) -> dict[str, str]:
        return self._common() | {
            "CARDSHOP_LISTEN": str(self._address("manager")),
            "CARDSHOP_SCHEDULER_URL": self.scheduler_url,
            "CARDSHOP_SECRET_KEY_FILE": str(self._folder.secret("manager.key")),
            "CARDSHOP_PAGES_URL": self.manager_url,
        }

    def _address(self, name: str) -> Address:
        return Address(LOOPBACK, self._ports[name])
