"""The command line: which commands there are, and how an error is told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cardshop import logs
from cardshop.contract.errors import CardshopError
from cardshop.settings import variable
from cardshop.writer_host import DEFAULT_FILE
from writer_helper.commands import checks, configure, enrol, name, screens, slots, writers
from writer_helper.commands.desk import Desk
from writer_helper.configuration import Configuration

DESCRIPTION = "Sets up and runs the card writers of this host."
EPILOG = (
    "Without a command, the screens open that walk through all of it. "
    "The configuration is read from --configuration, or the file that CARDSHOP_CONFIGURATION names, or "
    f"{DEFAULT_FILE}. Each command has a --help of its own. Exit status: 0 when all is well."
)
COMMANDS = (screens, slots, configure, name, enrol, checks, writers)


def run(words: Sequence[str]) -> int:
    """Does what the words say. Returns the exit status."""
    arguments = parser().parse_args(words or ["screens"])
    logs.set_up("writer-helper", "WARNING")
    desk = Desk(Configuration(arguments.configuration), Console(), as_json=arguments.json)
    try:
        status: int | None = arguments.run(desk, arguments)
    except CardshopError as error:
        desk.tell_error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return status or 0


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    main = argparse.ArgumentParser(prog="writer-helper", description=DESCRIPTION, epilog=EPILOG)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--configuration",
        type=Path,
        metavar="FILE",
        default=Path(os.environ.get(variable("configuration")) or DEFAULT_FILE),
        help="the configuration of this host (default: %(default)s)",
    )
    shared.add_argument("--json", action="store_true", help="print JSON, for scripts")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands, shared)
    return main
