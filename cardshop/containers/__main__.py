"""The door: ``python -m cardshop.containers prepare | database | password NAME | healthy ...``."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cardshop.containers import __doc__ as about
from cardshop.containers import healthy
from cardshop.contract.errors import CardshopError
from cardshop.settings import Address, load, setting

if TYPE_CHECKING:
    from cardshop.containers.secrets import Secrets

FOLDER = Path("/var/lib/cardshop")
ZIMS = Path("/zims")
MOUNTED = Path("/run/cardshop")
CA_FILE = MOUNTED / "ca.pem"


@dataclass(frozen=True)
class Settings:
    """Read from the environment by ``cardshop.settings.load``."""

    host: str = setting("the name by which other machines reach this one")
    warehouse_port: int = setting("port of the warehouse's control channel")


def main() -> int:
    """Does what the command line says; its exit status."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except CardshopError as error:
        sys.stderr.write(f"{error.sentence} {error.hint}\n")
        return error.exit_status
    return 0


def _prepare(_arguments: argparse.Namespace) -> None:
    from cardshop.containers.secrets import open_shelf

    _secrets().hand_out()
    open_shelf(ZIMS)


def _password(arguments: argparse.Namespace) -> None:
    from cardshop.containers.secrets import PEOPLE

    if arguments.name not in PEOPLE:
        raise SystemExit(f"There is no first password of {arguments.name}, only of: {', '.join(PEOPLE)}")
    print(_secrets().password(arguments.name))  # noqa: T201 - asked for


def _secrets() -> Secrets:
    from cardshop.containers.secrets import Secrets

    settings = load(Settings, os.environ)
    return Secrets(FOLDER, Address(settings.host, settings.warehouse_port))


def _database(_arguments: argparse.Namespace) -> None:
    from cardshop.containers.secrets import MONGO
    from cardshop.stack.replica_set import ADMINISTRATOR, SERVICE_ACCOUNT, Accounts, make_ready

    accounts = Accounts(*((MOUNTED / name).read_text() for name in (ADMINISTRATOR, SERVICE_ACCOUNT)))
    # This container shares the network of MongoDB's, so that it comes over loopback.
    make_ready(Address("127.0.0.1", MONGO.port), MONGO, CA_FILE, accounts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cardshop.containers",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    prepare = commands.add_parser("prepare", help="make certificates and secrets where they are missing")
    prepare.set_defaults(run=_prepare)
    password = commands.add_parser("password", help="show the password that a person's account began with")
    password.add_argument("name")
    password.set_defaults(run=_password)
    database = commands.add_parser("database", help="make the replica set and its accounts where missing")
    database.set_defaults(run=_database)
    checks = commands.add_parser("healthy", help="end with 0 when a service is well").add_subparsers(
        required=True, metavar="CHECK"
    )
    web = checks.add_parser("web", help="a web service says that it is well")
    web.add_argument("url")
    web.set_defaults(run=lambda given: healthy.answers(given.url, CA_FILE))
    work = checks.add_parser("work", help="the scheduler knows that some work was done lately")
    work.add_argument("name")
    work.add_argument("seconds", type=float)
    work.add_argument("scheduler_url")
    work.set_defaults(
        run=lambda given: healthy.has_worked(given.name, given.seconds, given.scheduler_url, CA_FILE)
    )
    ftps = checks.add_parser("ftps", help="the warehouse answers")
    ftps.add_argument("host")
    ftps.add_argument("port", type=int)
    ftps.set_defaults(run=lambda given: healthy.offers_ftps(Address(given.host, given.port), CA_FILE))
    return parser


if __name__ == "__main__":
    sys.exit(main())
