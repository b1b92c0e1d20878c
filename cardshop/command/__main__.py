"""The door: ``cardshop``, or ``python -m cardshop.command``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from cardshop.command import alarms, cards, contents, log_in, orders, recipes, tasks, workers
from cardshop.command.desk import Desk
from cardshop.command.output import Output, tell_error
from cardshop.command.session import Session
from cardshop.contract.errors import CardshopError

ABOUT = "Places and steers Cardshop's orders, and tells how the shop is."
EPILOG = (
    "Each command has a --help of its own. The session is kept in --session, or the file that "
    "CARDSHOP_SESSION names. Exit status: 0 when all is well; else the kind of the error, as in sysexits.h."
)
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Does what the words say; returns the exit status."""
    arguments = _parser().parse_args(words)
    structlog.configure(logger_factory=_on_standard_error)  # standard output is for answers
    desk = Desk(Session(arguments.session), Output(as_json=arguments.json))
    try:
        return arguments.run(desk, arguments) or 0
    except CardshopError as error:
        tell_error(error, as_json=arguments.json)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _on_standard_error(*_: Any) -> Any:
    return structlog.PrintLogger(sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cardshop", description=ABOUT, epilog=EPILOG)
    parser.add_argument(
        "--session",
        type=Path,
        metavar="FILE",
        default=_session_file(),
        help="where the log-in is kept (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (log_in, orders, recipes, contents, workers, tasks, alarms, cards):
        module.add(commands)
    return parser


def _session_file() -> Path:
    named = os.environ.get("CARDSHOP_SESSION")
    if named:
        return Path(named)
    configuration = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configuration) / "cardshop" / "session.json"


if __name__ == "__main__":
    sys.exit(main())
