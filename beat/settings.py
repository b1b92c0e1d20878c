"""Settings of beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import setting


@dataclass(frozen=True)
class Settings:
    """Read from the environment by ``cardshop.settings.load``."""

    mongo_uri: str = setting("mongodb://… of the replica set", secret=True)
    secret_key: str = setting(
        "the scheduler's own secret key: orders are named and keys sealed with it", secret=True
    )
    broker_host: str = setting("host name of RabbitMQ, as its certificate has it")
    broker_port: int = setting("RabbitMQ's TLS port, usually 5671")
    username: str = setting("beat's account at the scheduler")
    password: str = setting("its password; better CARDSHOP_PASSWORD_FILE", secret=True)
    ca_file: Path = setting("PEM file of the private CA")
    private_mirrors: tuple[str, ...] = setting(
        "hosts that catalogues may be read from though their addresses are private; comma separated",
        default=(),
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")
