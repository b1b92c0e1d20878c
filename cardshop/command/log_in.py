"""``cardshop login`` and ``logout``."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from cardshop.command.desk import Desk, Subparsers, verb
from cardshop.contract.errors import InvalidInput


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    login = verb(
        subparsers, "login", log_in, "begin a session; the password is asked for, or read from a file"
    )
    login.add_argument(
        "--url", required=True, help="the scheduler's API, for example https://shop.example:8443"
    )
    login.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="PEM of the shop's own authority (default: the system's)"
    )
    login.add_argument("--username", help="your account (default: asked for)")
    login.add_argument("--password-file", type=Path, metavar="FILE", help="a file that holds the password")
    verb(subparsers, "logout", log_out, "end the session, here and at the scheduler")


def log_in(desk: Desk, arguments: argparse.Namespace) -> None:
    """Begins a session."""
    ca_file = str(arguments.ca_file.resolve()) if arguments.ca_file else ""
    if ca_file and not os.access(ca_file, os.R_OK):
        raise InvalidInput(f"{ca_file} can't be read.", field="--ca-file")
    username = arguments.username or _asked("Username: ")
    desk.session.log_in(arguments.url, ca_file, username, _password(arguments.password_file))
    desk.output.sentence(f"You are logged in as {username}.", {"username": username})


def log_out(desk: Desk, _arguments: argparse.Namespace) -> None:
    """Ends the session."""
    desk.session.log_out()
    desk.output.sentence("You are logged out.", {})


def _password(file: Path | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise InvalidInput("There is no terminal to ask for the password.", field="--password-file")
        return getpass.getpass("Password: ")
    try:
        return file.read_text().strip()
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}.", field="--password-file") from None


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise InvalidInput("There is no terminal to ask for your account.", field="--username")
    return input(question)
