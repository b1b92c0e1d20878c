"""Publishers of the outbox as processes of their own, that a test kills.

``python -m tests.publishing DATABASE`` runs one until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from kombu import Connection

from beat.app import celery_app
from beat.outbox import OutboxPublisher
from cardshop import broker, logs
from cardshop.settings import load, setting
from scheduler.store.database import connect
from scheduler.store.store import Store
from tests.real_services import RealMongod, RealRabbit


@dataclass(frozen=True)
class Settings:
    """Of a publisher's process."""

    mongo_uri: str = setting("MongoDB", secret=True)
    broker_host: str = setting("RabbitMQ's host")
    broker_port: int = setting("RabbitMQ's port")
    password: str = setting("of beat's account", secret=True)
    ca_file: Path = setting("PEM file of the private CA")


class PublisherProcess:
    """One publisher's process."""

    def __init__(self, mongod: RealMongod, rabbit: RealRabbit, database: str, log: Path) -> None:
        self._argv = [sys.executable, "-m", "tests.publishing", database]
        self._log = log
        self._environment = {
            **os.environ,
            "CARDSHOP_MONGO_URI": mongod.uri,
            "CARDSHOP_BROKER_HOST": rabbit.address.host,
            "CARDSHOP_BROKER_PORT": str(rabbit.address.port),
            "CARDSHOP_PASSWORD_FILE": str(rabbit.password_file),
            "CARDSHOP_CA_FILE": str(rabbit.ca_file),
        }
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, env=self._environment, stdout=log, stderr=log, cwd=Path(__file__).parents[1]
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


def main() -> int:
    """The publisher's process."""
    settings = load(Settings, os.environ)
    logs.set_up("beat", "INFO")
    database = connect(settings.mongo_uri)
    store = Store(database.client.get_database(sys.argv[1], codec_options=database.codec_options))
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def connect_broker() -> Connection:
        return broker.connection(
            settings.broker_host, settings.broker_port, "beat", settings.password, settings.ca_file
        )

    publisher = OutboxPublisher(celery_app(connect_broker()), connect_broker, store, stopped)
    publisher.start()
    while not stopped.wait(0.2):
        pass
    publisher.join(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
