"""The manager's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import Address, setting


@dataclass(frozen=True)
class Settings:
    """Read from the environment by :func:`cardshop.settings.load`."""

    listen: Address = setting("address that browsers connect to, host:port, for example 127.0.0.1:8080")
    scheduler_url: str = setting("the scheduler's API, for example https://scheduler:8443")
    ca_file: Path = setting("PEM file of the CA that signed the scheduler's certificate")
    secret_key: str = setting(
        "random text of 32 characters or more; it signs the session cookies", secret=True
    )
    tls_cert: Path | None = setting("PEM certificate to serve HTTPS with; none: plain HTTP", default=None)
    tls_key: Path | None = setting("PEM key of that certificate", default=None)
    pages_url: str = setting(
        "address of these pages as people open them, for the QR code on slips; none: as the browser came",
        default="",
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")
