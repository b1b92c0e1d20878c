"""A new ``mongod`` becomes a replica set of one member with the two accounts that Cardshop needs."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from cardshop.contract.errors import Unavailable
from cardshop.settings import Address
from cardshop.stack.waiting import wait_for

REPLICA_SET = "rs0"
DATABASE = "cardshop"

ADMINISTRATOR = "root"
"""May do anything; used to set up the database, never by a service."""

SERVICE_ACCOUNT = "cardshop"
"""May read and write the database :data:`DATABASE`, nothing else."""

ANSWER_SECONDS = 60
UNAUTHORIZED = 13
EXISTS_ALREADY = 51003

Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True)
class Accounts:
    """The two accounts' passwords."""

    administrator: str
    service: str


def member_key() -> str:
    """A new secret that the members of a replica set know each other by."""
    return base64.b64encode(secrets.token_bytes(96)).decode()


def uri(server: Address, ca_file: Path, account: str, password: str) -> str:
    """Connection string of an account, through the replica set."""
    options = f"replicaSet={REPLICA_SET}&authSource=admin&{_trust(ca_file)}"
    return f"mongodb://{account}:{quote(password)}@{server}/{DATABASE}?{options}"


def make_ready(server: Address, member: Address, ca_file: Path, accounts: Accounts) -> None:
    """Waits until it answers; makes the replica set and the accounts where they are missing.

    Args:
        server: where it is reached from here; over loopback, or no first account can be made.
        member: the address that it has for its clients.
        ca_file: PEM of the authority that signed its certificate.
        accounts: the passwords that they get.

    Raises:
        Unavailable: it doesn't answer.
    """
    direct = f"{server}/{DATABASE}?directConnection=true&{_trust(ca_file)}"
    administrator = f"{ADMINISTRATOR}:{quote(accounts.administrator)}"
    try:
        with _client(f"mongodb://{direct}") as client:
            if "setName" not in client.admin.command("hello"):
                client.admin.command(
                    "replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": str(member)}]}
                )
            wait_for("The replica set", lambda: _is_primary(client), ANSWER_SECONDS)
            # Allowed without a log-in, from loopback, as long as there is no account at all.
            _make_account(client, ADMINISTRATOR, accounts.administrator, ["root"])
        with _client(f"mongodb://{administrator}@{direct}&authSource=admin") as client:
            rights = [{"role": "readWrite", "db": DATABASE}]
            _make_account(client, SERVICE_ACCOUNT, accounts.service, rights)
    except PyMongoError as error:
        raise Unavailable("mongod does not answer.", hint=str(error)) from error


def _trust(ca_file: Path) -> str:
    return f"tls=true&tlsCAFile={quote(str(ca_file), safe='/')}"


def _client(text: str) -> Client:
    return MongoClient(text, serverSelectionTimeoutMS=ANSWER_SECONDS * 1000)


def _is_primary(client: Client) -> bool:
    return bool(client.admin.command("hello")["isWritablePrimary"])


def _make_account(client: Client, name: str, password: str, roles: list[Any]) -> None:
    try:
        client.admin.command("createUser", name, pwd=password, roles=roles)
    except OperationFailure as error:
        if error.code not in {UNAUTHORIZED, EXISTS_ALREADY}:
            raise
