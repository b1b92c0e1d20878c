"""The door: ``python -m monitor``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

import structlog

from cardshop import broker, logs
from cardshop.contract.errors import CardshopError
from cardshop.settings import describe, load
from monitor.app import Monitor
from monitor.settings import Settings
from scheduler.store.database import connect
from scheduler.store.store import Store

log = structlog.get_logger(__name__)


def main() -> int:
    """Runs until SIGTERM; what was taken from the queue is folded first."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - logs are not set up yet
        return error.exit_status
    logs.set_up("monitor", settings.log_level)
    log.info("starting", **describe(settings))
    stopped = threading.Event()
    monitor = Monitor(
        broker.connection(
            settings.broker_host,
            settings.broker_port,
            settings.username,
            settings.password,
            settings.ca_file,
        ),
        Store(connect(settings.mongo_uri)),
        stopped.wait,
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        monitor.should_stop = True
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    monitor.run()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
