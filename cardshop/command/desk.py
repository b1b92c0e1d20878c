"""What each command works with, and how it joins the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cardshop.command.output import Output
from cardshop.command.session import Session

Subparsers = Any
"""What ``add_subparsers`` gives: argparse has no public name for it."""


@dataclass(frozen=True)
class Desk:
    """The session, and where answers go."""

    session: Session
    output: Output


Run = Callable[[Desk, argparse.Namespace], int | None]
"""Does what the words say; an exit status, where there is more to say than that it was done."""


def verb(subparsers: Subparsers, name: str, run: Run, about: str, **more: Any) -> argparse.ArgumentParser:
    """A command with its ``--json``, and what it runs."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=about, description=about, **more)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    parser.set_defaults(run=run)
    return parser


def noun(subparsers: Subparsers, name: str, about: str) -> Subparsers:
    """A group of commands."""
    parser = subparsers.add_parser(name, help=about, description=about)
    return parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
