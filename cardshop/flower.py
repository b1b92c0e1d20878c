"""Flower, the Celery monitor that people run, at this broker: ``python -m cardshop.flower [options]``.

It needs Flower (``pip install flower``) and an account with the role admin: its rights let it hear all events
and ask the workers. What follows the command goes to Flower (``--port=5555``,
``--basic_auth=name:password``; see ``--help``). Flower keeps what it hears in its memory.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from celery import Celery

from cardshop import broker
from cardshop.contract import names
from cardshop.contract.errors import CardshopError
from cardshop.control import Control
from cardshop.settings import load, setting

EVENTS_WAIT_SECONDS = 600.0
"""Events wait so long for a Flower that is busy; Celery's 5 seconds would lose them without a word."""


@dataclass(frozen=True)
class Settings:
    """Read from the environment by ``cardshop.settings.load``."""

    broker_host: str = setting("host name of RabbitMQ, as its certificate has it")
    broker_port: int = setting("RabbitMQ's TLS port, usually 5671")
    username: str = setting("an account with the role admin")
    password: str = setting("its password; better CARDSHOP_PASSWORD_FILE", secret=True)
    ca_file: Path = setting("PEM file of the private CA")


def celery_app(settings: Settings) -> Celery:
    """The Celery app that Flower listens and asks with: our exchanges, TLS, JSON only."""
    account = f"{quote(settings.username, safe='')}:{quote(settings.password, safe='')}"
    app = Celery(
        "cardshop",
        broker=f"amqps://{account}@{settings.broker_host}:{settings.broker_port}/{names.VHOST}",
        control=Control,
        set_as_current=False,
    )
    app.conf.update(
        broker_use_ssl=broker.tls_options(settings.ca_file, settings.broker_host),
        event_exchange=names.EVENT_EXCHANGE,
        event_queue_ttl=EVENTS_WAIT_SECONDS,
        accept_content=["json"],
        task_create_missing_queues=False,
        enable_utc=True,
    )
    return app


def main() -> int:
    """Runs Flower until it is stopped."""
    try:
        settings = load(Settings, os.environ)
    except CardshopError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - a command
        return error.exit_status
    celery_app(settings).start(["flower", *sys.argv[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
