"""``python -m scheduler``: serves the API; with a word after it, does one thing to the shop and ends."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import structlog
from flask import Flask

from cardshop.contract.errors import CardshopError
from cardshop.logs import set_up
from cardshop.serving import serve
from cardshop.settings import describe, load
from scheduler import __doc__ as about
from scheduler import seeding
from scheduler.app import make_app
from scheduler.assembly import assemble, prepare
from scheduler.settings import Settings, ShopSettings

log = structlog.get_logger(__name__)


def main() -> int:
    """Runs what the command line asks for; the exit status tells the kind of an error."""
    arguments = _parser().parse_args()
    try:
        match arguments.command:
            case "seed":
                seed(arguments.file)
            case "rotate-keys":
                rotate_keys()
            case _:
                serve_api()
    except CardshopError as error:
        sys.stderr.write(f"scheduler: {error.sentence} {error.hint}\n")
        return error.exit_status
    return 0


def serve_api() -> None:
    """Serves until SIGTERM."""
    settings = load(Settings, os.environ)
    set_up("scheduler", settings.log_level)
    log.info("starting", **describe(settings))
    prepare(settings)

    def app() -> Flask:
        return make_app(assemble(settings))

    serve(
        app,
        settings.listen,
        certificate=settings.tls_cert,
        key=settings.tls_key,
        log_level=settings.log_level,
        processes=settings.processes,
    )


def seed(file: Path) -> None:
    """Fills the shop from a file."""
    settings = load(ShopSettings, os.environ)
    set_up("scheduler", settings.log_level)
    content = seeding.read(file)
    prepare(settings)
    seeding.sow(content, assemble(settings))


def rotate_keys() -> None:
    """Signs tokens with a new key from now on."""
    settings = load(ShopSettings, os.environ)
    set_up("scheduler", settings.log_level)
    prepare(settings)
    assemble(settings).signing.rotate()
    log.info("tokens are signed with a new key; the old ones verify until their last token has ended")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scheduler",
        description=about,
        epilog="Settings are read from the environment; what is missing is named at start.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help="without one: serve the API")
    seeder = commands.add_parser(
        "seed",
        help="fill the shop from a JSON file",
        description=seeding.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    seeder.add_argument("--file", type=Path, required=True, help="the seed")
    commands.add_parser("rotate-keys", help="sign tokens with a new key from now on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
