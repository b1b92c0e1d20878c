"""The door: ``python -m cardshop.stack up | down | status | restart SERVICE | card ...``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from cardshop import logs
from cardshop.contract.errors import CardshopError, InvalidInput
from cardshop.settings import Address
from cardshop.stack.display import Progress, status_table
from cardshop.stack.mail import StackMail
from cardshop.stack.shape import Shape
from cardshop.stack.stack import Stack

DEFAULT_FOLDER = Path("var/stack")
DEFAULT_CARD_BYTES = 7_948_206_080
"""True size of an ordinary 8 GB card."""


def main() -> int:
    """Does what the command line says; its exit status."""
    arguments = _parser().parse_args()
    logs.set_up("stack", "WARNING")
    console = Console()
    try:
        shape = Shape(tries_images=getattr(arguments, "try_images", False))
        stack = Stack(arguments.folder, shape, mail=_mail(arguments))
        _COMMANDS[arguments.command](stack, arguments, console)
    except CardshopError as error:
        console.print(error.sentence, style="bold red", markup=False)
        if error.hint:
            console.print(error.hint, markup=False, soft_wrap=True)
        return error.exit_status
    return 0


def _up(stack: Stack, _arguments: argparse.Namespace, console: Console) -> None:
    if stack.runs() and all(state.running for state in stack.states()):
        console.print("The stack runs already.")
    else:
        with Progress(console) as progress:
            stack.up(progress)
    console.print(status_table(stack))
    console.print(f"The web pages: {stack.services.manager_url}", highlight=False)
    for name in ("admin", "operator"):
        console.print(f"The password of {name} is in {stack.services.password_file(name)}", soft_wrap=True)


def _down(stack: Stack, _arguments: argparse.Namespace, console: Console) -> None:
    with console.status("Stopping ..."):
        ran = stack.down()
    console.print("The stack is stopped." if ran else "The stack does not run.")


def _status(stack: Stack, _arguments: argparse.Namespace, console: Console) -> None:
    console.print(status_table(stack))


def _restart(stack: Stack, arguments: argparse.Namespace, console: Console) -> None:
    with Progress(console) as progress:
        stack.restart(arguments.service, progress)


def _card(stack: Stack, arguments: argparse.Namespace, console: Console) -> None:
    if arguments.what == "insert":
        card = stack.cards.insert(arguments.slot, arguments.size)
        console.print(f"Card {card.serial} of {card.size_bytes} bytes is in slot {arguments.slot}.")
    else:
        card = stack.cards.remove(arguments.slot)
        console.print(f"The card lies at {card.path}", soft_wrap=True)


_COMMANDS = {"up": _up, "down": _down, "status": _status, "restart": _restart, "card": _card}


def _add_mail_options(parser: argparse.ArgumentParser) -> None:
    mail = parser.add_argument_group(
        "mail server", "Without one mails are written and shown in the manager, and go nowhere."
    )
    mail.add_argument("--smtp", metavar="HOST:PORT", help="where mails go; it must offer STARTTLS")
    mail.add_argument("--smtp-ca", type=Path, metavar="FILE", help="PEM of who signed its certificate")
    mail.add_argument("--smtp-username", metavar="NAME", default="", help="account to log in with")
    mail.add_argument("--smtp-password", type=Path, metavar="FILE", help="file with the account's password")


def _mail(arguments: argparse.Namespace) -> StackMail | None:
    where = getattr(arguments, "smtp", None)
    if not where:
        return None
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal():
        raise InvalidInput("--smtp is the mail server's host and port, for example mail.example.org:587.")
    return StackMail(
        Address(host, int(port)),
        ca_file=_absolute(arguments.smtp_ca),
        username=arguments.smtp_username,
        password_file=_absolute(arguments.smtp_password),
    )


def _absolute(path: Path | None) -> Path | None:
    return path and path.resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cardshop.stack", description="The local stack.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where all of it is kept")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[shared], help="start what doesn't run")
    up.add_argument(
        "--try-images",
        action="store_true",
        help="start each image in a virtual machine before it is handed out, and keep a picture of its "
        "portal page (a minute more for each; counts when the stack is started, not while it runs)",
    )
    _add_mail_options(up)
    commands.add_parser("down", parents=[shared], help="stop all")
    commands.add_parser("status", parents=[shared], help="show what runs")
    restart = commands.add_parser("restart", parents=[shared], help="stop and start one service")
    restart.add_argument("service")
    card = commands.add_parser(
        "card", parents=[shared], help="put a card into a virtual slot, or take it out"
    )
    card.add_argument("what", choices=("insert", "remove"))
    card.add_argument("slot")
    card.add_argument("--size", type=int, default=DEFAULT_CARD_BYTES, help="true size of a new card in bytes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
