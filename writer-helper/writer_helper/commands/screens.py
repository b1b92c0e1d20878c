"""``writer-helper screens``: the walk through screens; what ``writer-helper`` alone opens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from writer_helper.commands.desk import Desk
from writer_helper.screens import HelperApp

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "screens",
        parents=[shared],
        help="walk through all steps on screens (the default)",
        description="Addresses, slots, accounts, network, writers, one after the other.",
    )
    parser.add_argument(
        "--folder", type=Path, help="look into the virtual slots (folders) in this folder too"
    )
    parser.set_defaults(run=_run)


def _run(desk: Desk, arguments: argparse.Namespace) -> None:
    HelperApp(desk.configuration, arguments.folder).run()
