"""``writer-helper network | doctor``: reports that say what is wrong and what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from writer_helper.commands.desk import Desk
from writer_helper.doctor import examine as examine_host
from writer_helper.network import examine as examine_network
from writer_helper.verdicts import Mark, Verdict, line

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the commands."""
    network = commands.add_parser(
        "network",
        parents=[shared],
        help="test the way to scheduler, broker and warehouse",
        description="Looks at names, ports, TLS, the clock and each writer's logins. Exit status 1 when "
        "something is bad.",
    )
    network.set_defaults(run=_network)
    doctor = commands.add_parser(
        "doctor",
        parents=[shared],
        help="find what is wrong with this host",
        description="Looks at power, USB ports, card readers, disks, the clock and the writers, on one page. "
        "Exit status 1 when something is bad.",
    )
    doctor.set_defaults(run=_doctor)


def _network(desk: Desk, _arguments: argparse.Namespace) -> int:
    return _report(desk, examine_network(desk.configuration.read()))


def _doctor(desk: Desk, _arguments: argparse.Namespace) -> int:
    return _report(desk, examine_host(desk.configuration))


def _report(desk: Desk, verdicts: Iterator[Verdict]) -> int:
    seen = []
    for verdict in verdicts:
        seen.append(verdict)
        if not desk.as_json:
            desk.console.print(line(verdict), soft_wrap=True)
    if desk.as_json:
        desk.answer([verdict.facts() for verdict in seen])
    return 1 if any(verdict.mark is Mark.BAD for verdict in seen) else 0
