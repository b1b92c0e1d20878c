"""``python -m warehouse.shelf FOLDER``: serves until SIGTERM; the folder is looked at every few seconds."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import Any

import structlog

from cardshop import logs
from cardshop.serving import serve
from cardshop.settings import Address
from warehouse.shelf.app import make_app
from warehouse.shelf.books import Shelf

LOOK_SECONDS = 5.0

log = structlog.get_logger(__name__)


def main() -> int:
    """Runs the service. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m warehouse.shelf",
        description="Offers the ZIM files of a folder to the shop, as a catalogue of its own.",
        epilog="Its page shows the address that an admin adds as a catalogue. If its host has a private "
        "address, CARDSHOP_PRIVATE_MIRRORS of scheduler, beat and creators must name it.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the *.zim files; it is only read")
    parser.add_argument(
        "--listen", default="127.0.0.1:8090", metavar="HOST:PORT", help="default: %(default)s"
    )
    parser.add_argument(
        "--address", metavar="URL", help="of the shelf as creators reach it (default: http://HOST:PORT)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("var/shelf"),
        metavar="FOLDER",
        help="where checksums are kept, so that a restart reads nothing again (default: %(default)s)",
    )
    given = parser.parse_args()
    host, colon, port = given.listen.rpartition(":")
    if not (colon and host and port.isdigit()):
        parser.error("--listen: use HOST:PORT")
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    address = (given.address or f"http://{given.listen}").rstrip("/")
    logs.set_up("shelf", "INFO")

    def make() -> Any:
        shelf = Shelf(given.folder, given.state)
        threading.Thread(target=_keep_looking, args=(shelf,), name="look", daemon=True).start()
        return make_app(shelf, address)

    log.info("started", folder=str(given.folder), address=address)
    serve(make, Address(host, int(port)))
    return 0


def _keep_looking(shelf: Shelf) -> None:
    pause = threading.Event()
    while not pause.wait(LOOK_SECONDS if shelf.books() else 1.0):
        try:
            shelf.look()
        except Exception:  # whatever a file does to it, the others are looked at again
            log.exception("the folder can't be looked at now")


if __name__ == "__main__":
    sys.exit(main())
