"""Settings that every worker has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import setting


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Read from the environment by ``cardshop.settings.load``; a service adds its own fields."""

    broker_host: str = setting("host name of RabbitMQ, as its certificate has it")
    broker_port: int = setting("RabbitMQ's TLS port, usually 5671")
    scheduler_url: str = setting("the scheduler's API, for example https://scheduler:8443")
    username: str = setting("the worker's account at the scheduler")
    password: str = setting("its password; better CARDSHOP_PASSWORD_FILE", secret=True)
    ca_file: Path = setting("PEM file of the private CA")
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")
