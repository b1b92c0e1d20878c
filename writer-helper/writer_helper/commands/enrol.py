"""``writer-helper enrol``: accounts for the writers of this host, with a one-time code."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from writer_helper.commands.desk import Desk
from writer_helper.enrolment import enrol, without_account

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "enrol",
        parents=[shared],
        help="get the writers' accounts with a one-time code from the manager",
        description="Asks for the code that the manager gives (Workers, Enrol a host), and gets an account "
        "for each slot that has none. The passwords are made here and kept in the configuration. A script "
        "gives the code on standard input.",
    )
    parser.add_argument("--again", action="store_true", help="new passwords for all slots of this host")
    parser.set_defaults(run=_run)


def _run(desk: Desk, arguments: argparse.Namespace) -> None:
    host = desk.configuration.read()
    names = [slot.name for slot in host.slots] if arguments.again else without_account(host)
    # Not an argument: other users see the arguments of a command while it runs.
    code = getpass.getpass("Code: ") if sys.stdin.isatty() else sys.stdin.readline()
    usernames = enrol(desk.configuration, code.strip(), names)
    told = ", ".join(f"{slot} is {username}" for slot, username in usernames.items())
    desk.say(f"Enrolled: {told}. Next: writer-helper network, then writer-helper start.", accounts=usernames)
