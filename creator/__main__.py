"""The door: ``python -m creator``."""

from __future__ import annotations

import functools
import os
import sys

import structlog

from cardshop import logs
from cardshop.contract import names
from cardshop.contract.errors import CardshopError
from cardshop.contract.tasks import CreateTask
from cardshop.settings import describe, load
from cardshop.worker import Job, run_worker
from creator.settings import Settings
from creator.work import create

log = structlog.get_logger(__name__)


def main() -> int:
    """Runs until SIGTERM; a build in hand is given back to the queue then."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - logs are not set up yet
        return error.exit_status
    logs.set_up("creator", settings.log_level)
    log.info("starting", **describe(settings))
    work = functools.partial(create, settings)
    return run_worker(settings, Job(names.CREATE_TASK, names.CREATE_QUEUE, CreateTask.from_wire, work))


if __name__ == "__main__":
    sys.exit(main())
