"""``cardshop alarms``: what a person must look at."""

from __future__ import annotations

import argparse

from cardshop.command.desk import Desk, Subparsers, verb
from cardshop.command.output import short


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    alarms = verb(subparsers, "alarms", list_alarms, "list what a person must look at, newest first")
    alarms.add_argument("--all", action="store_true", help="those that have ended, too")


def list_alarms(desk: Desk, arguments: argparse.Namespace) -> None:
    """Lists alarms."""
    query = {} if arguments.all else {"open": "true"}
    alarms = list(desk.session.every("/v1/alarms", **query))
    rows = [
        (short(alarm["raised_at"]), short(alarm["ended_at"]) or "open", alarm["kind"], alarm["sentence"])
        for alarm in alarms
    ]
    desk.output.table(("RAISED (UTC)", "ENDED", "KIND", "WHAT"), rows, alarms)
