"""The door: ``python -m beat``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

import structlog
from celery.beat import Service
from kombu import Connection

from beat.app import celery_app, scheduler_class
from beat.jobs import Tools, jobs
from beat.mailer import MailSender
from beat.outbox import OutboxPublisher
from beat.settings import Settings, mail_server
from beat.silence import SilenceWatch
from cardshop import broker, logs
from cardshop.contract.errors import CardshopError
from cardshop.settings import describe, load
from scheduler.catalogue.web import Web
from scheduler.seal import Seal
from scheduler.shop.signing import Signing
from scheduler.store.database import connect
from scheduler.store.store import Store, wait_for

CLOSE_SECONDS = 15.0
"""Time that the message and the mail in hand have to be confirmed."""

log = structlog.get_logger(__name__)


def main() -> int:
    """Runs until SIGTERM."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - logs are not set up yet
        return error.exit_status
    logs.set_up("beat", settings.log_level)
    log.info("starting", **describe(settings))
    signal.signal(signal.SIGTERM, _leave)
    try:
        server = mail_server(settings)
    except CardshopError as error:
        log.error("settings are wrong", why=error.sentence)
        return error.exit_status
    store = Store(connect(settings.mongo_uri))
    seal = Seal(settings.secret_key)
    tools = Tools(
        store, Web(frozenset(settings.private_mirrors)), seal, Signing(store.keys, seal, store.clock)
    )
    wait_for(store)
    store.schedules.prepare()

    def connect_broker() -> Connection:
        return broker.connection(
            settings.broker_host,
            settings.broker_port,
            settings.username,
            settings.password,
            settings.ca_file,
        )

    app = celery_app(connect_broker())
    stopped = threading.Event()
    publisher = OutboxPublisher(app, connect_broker, store, stopped)
    publisher.start()
    silence = SilenceWatch(store, settings.silence, stopped)
    silence.start()
    sender = MailSender(store, server, settings.pages_url, stopped)
    sender.start()
    Service(app, scheduler_cls=scheduler_class(store, jobs(tools))).start()
    stopped.set()
    publisher.join(CLOSE_SECONDS)
    silence.join(CLOSE_SECONDS)
    sender.join(CLOSE_SECONDS)
    log.info("stopped")
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # Celery's beat ends its loop on this exception.
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main())
