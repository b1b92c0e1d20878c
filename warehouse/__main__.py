"""``python -m warehouse``: serves until SIGTERM or SIGINT; what was cut goes on at the next start."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from cardshop import logs
from cardshop.contract.errors import CardshopError
from cardshop.settings import describe, load
from warehouse.app import make_server, scheduler_client
from warehouse.authorizer import SchedulerJudge
from warehouse.filesystem import ImageFolder
from warehouse.retention import Retention
from warehouse.settings import Settings
from warehouse.shelving import ShelfFolder


def main() -> int:
    """Runs the service. Returns the exit status."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_status
    logs.set_up("warehouse", settings.log_level)
    log = structlog.get_logger("warehouse")
    signal.signal(signal.SIGTERM, _stop)
    scheduler = scheduler_client(settings)
    server = make_server(settings, SchedulerJudge(scheduler), lambda: datetime.now(UTC))
    shelf = ShelfFolder(settings.shelf, settings.shelf_file_bytes)
    retention = Retention(scheduler, ImageFolder(settings.images), shelf)
    retention.start()
    log.info("started", **describe(settings))
    try:
        server.serve_forever(handle_exit=False)
    except (KeyboardInterrupt, SystemExit):
        log.info("stopping")
    finally:
        retention.stop()
        server.close_all()
    return 0


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main())
