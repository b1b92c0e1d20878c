"""``writer-helper configure ...``: the configuration file, field by field."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardshop.contract.errors import InvalidInput
from cardshop.writer_host import Run, WriterHost
from writer_helper.addresses import broker_address
from writer_helper.commands.desk import Desk
from writer_helper.configuration import value_typed

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers

HIDDEN = "[hidden]"


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the command with its own."""
    parser = commands.add_parser(
        "configure",
        help="make, show, check and change the configuration",
        description="One documented TOML file holds all that the writers of this host must know. It can be "
        "edited by hand as well: comments are kept, and nothing wrong is ever written.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    new = actions.add_parser("new", parents=[shared], help="make the configuration of this host")
    new.add_argument("--scheduler", required=True, metavar="URL", help="https://HOST:PORT of the scheduler")
    new.add_argument("--ca-file", required=True, type=Path, help="PEM file of Cardshop's private authority")
    new.add_argument("--broker", required=True, metavar="HOST[:PORT]", help="RabbitMQ (default port: 5671)")
    new.add_argument("--run", dest="runs", choices=[run.value for run in Run], help="default: docker")
    new.add_argument("--data", type=Path, help="folder for images (default: /var/lib/cardshop)")
    new.add_argument("--proxy", metavar="URL", help="web proxy for the scheduler")
    new.set_defaults(run=_new)

    show = actions.add_parser("show", parents=[shared], help="show it; passwords are hidden")
    show.set_defaults(run=_show)

    check = actions.add_parser("check", parents=[shared], help="tell what is wrong in it")
    check.set_defaults(run=_check)

    change = actions.add_parser("set", parents=[shared], help="change one field")
    change.add_argument("field", help="such as scheduler.url, broker.port, writers.run, docker.image")
    change.add_argument("value")
    change.set_defaults(run=_set)

    slot = actions.add_parser("slot", parents=[shared], help="add a slot, or give it another place")
    slot.add_argument("name", help="its letter, for example A")
    slot.add_argument("path", type=Path, help="/dev/disk/by-path/..., or the folder of a virtual slot")
    slot.add_argument("--virtual", action="store_true", help="make the folder when it is missing")
    slot.add_argument(
        "--fixed-device",
        default="",
        metavar="NAME",
        help="allow the device of this name though it doesn't say it is removable (a writer that refuses it "
        "tells the name)",
    )
    slot.set_defaults(run=_slot)

    forget = actions.add_parser("remove-slot", parents=[shared], help="forget a slot and its account")
    forget.add_argument("name")
    forget.set_defaults(run=_remove_slot)

    account = actions.add_parser(
        "account",
        parents=[shared],
        help="give a slot's writer its user name and password",
        description="Asks for the password without showing it; a script gives it on standard input.",
    )
    account.add_argument("name", help="the slot's letter")
    account.add_argument("username", help="the writer's account at the scheduler")
    account.set_defaults(run=_account)


def _new(desk: Desk, arguments: argparse.Namespace) -> None:
    broker = broker_address(arguments.broker)
    values: dict[str, Any] = {
        "scheduler.url": arguments.scheduler,
        "scheduler.ca_file": str(arguments.ca_file.absolute()),
        "broker.host": broker.host,
        "broker.port": broker.port,
    }
    if arguments.runs:
        values["writers.run"] = arguments.runs
    if arguments.data:
        values["writers.data"] = str(arguments.data.absolute())
    if arguments.proxy:
        values["scheduler.proxy"] = arguments.proxy
    desk.configuration.create(values)
    path = desk.configuration.path
    desk.say(f"{path} is made. Next: name the slots.", configuration=str(path))


def _show(desk: Desk, _arguments: argparse.Namespace) -> None:
    host = desk.configuration.read()
    facts = _facts(host)
    slots = facts.pop("slots")
    if desk.as_json:
        desk.answer({**facts, "slots": slots})
        return
    desk.table(("field", "value"), [(name, str(value)) for name, value in facts.items()], facts)
    rows = [(slot["name"], slot["path"], slot["username"], slot["password"]) for slot in slots]
    desk.table(("slot", "place", "account", "password"), rows, slots)


def _check(desk: Desk, _arguments: argparse.Namespace) -> None:
    host = desk.configuration.read()
    missing = [slot.name for slot in host.slots if not slot.username]
    sentence = f"{desk.configuration.path} is good: {len(host.slots)} slots."
    if missing:
        sentence += f" Without an account: {', '.join(missing)}."
    desk.say(sentence, good=True, slots=len(host.slots), without_account=missing)


def _set(desk: Desk, arguments: argparse.Namespace) -> None:
    desk.configuration.set({arguments.field: value_typed(arguments.value)})
    desk.say(f"{arguments.field} is {arguments.value}.", field=arguments.field, value=arguments.value)


def _slot(desk: Desk, arguments: argparse.Namespace) -> None:
    path = arguments.path.absolute()
    desk.configuration.put_slot(arguments.name, path, arguments.fixed_device)
    if arguments.virtual:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    desk.say(f"Slot {arguments.name} is {path}.", name=arguments.name, path=str(path))


def _remove_slot(desk: Desk, arguments: argparse.Namespace) -> None:
    desk.configuration.remove_slot(arguments.name)
    desk.say(f"Slot {arguments.name} is forgotten.", name=arguments.name)


def _account(desk: Desk, arguments: argparse.Namespace) -> None:
    desk.configuration.read().slot(arguments.name)
    account = (arguments.username, _password(arguments.username))
    desk.configuration.put_accounts({arguments.name: account})
    sentence = f"The writer of slot {arguments.name} is {arguments.username}."
    desk.say(sentence, name=arguments.name, username=arguments.username)


def _password(username: str) -> str:
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {username} (it is not shown): ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise InvalidInput("No password was given.", field="password")
    return password


def _facts(host: WriterHost) -> dict[str, Any]:
    return {
        "scheduler.url": host.scheduler_url,
        "scheduler.ca_file": str(host.ca_file),
        "scheduler.proxy": host.proxy,
        "broker.host": host.broker.host,
        "broker.port": host.broker.port,
        "writers.run": host.run.value,
        "writers.python": host.python,
        "writers.data": str(host.data),
        "writers.cache_bytes": host.cache_bytes,
        "writers.log_level": host.log_level,
        "docker.image": host.image,
        "slots": [
            {
                "name": slot.name,
                "path": str(slot.path),
                "username": slot.username,
                "password": HIDDEN if slot.password else "",
            }
            for slot in host.slots
        ],
    }
