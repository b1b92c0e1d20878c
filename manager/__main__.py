"""The door: ``python -m manager``."""

from __future__ import annotations

import os
import sys

import structlog

from cardshop import logs
from cardshop.contract.errors import CardshopError
from cardshop.serving import serve
from cardshop.settings import describe, load
from manager.app import make_app
from manager.settings import Settings


def main() -> int:
    """Reads the settings and serves until SIGTERM; returns the exit status."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201  # there are no logs yet
        return error.exit_status
    logs.set_up("manager", settings.log_level)
    structlog.get_logger().info("manager starts", **describe(settings))
    serve(
        lambda: make_app(settings),
        settings.listen,
        certificate=settings.tls_cert,
        key=settings.tls_key,
        log_level=settings.log_level,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
