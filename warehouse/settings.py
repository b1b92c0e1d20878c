"""The warehouse's settings, read once at the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import Address, setting


class PortRange:
    """Ports from ``lowest`` to ``highest``, both included, written ``lowest-highest``.

    Raises:
        ValueError: the text is something else.
    """

    def __init__(self, text: str) -> None:
        lowest, dash, highest = text.partition("-")
        if not (dash and lowest.isdigit() and highest.isdigit() and 0 < int(lowest) <= int(highest) < 65536):
            raise ValueError("use lowest-highest")
        self.ports = range(int(lowest), int(highest) + 1)

    def __str__(self) -> str:
        return f"{self.ports[0]}-{self.ports[-1]}"


@dataclass(frozen=True)
class Settings:
    """What ``python -m warehouse`` needs."""

    listen: Address = setting("address of the control channel, as 0.0.0.0:2121")
    tls_cert: Path = setting("PEM file: the warehouse's certificate, followed by those that sign it")
    tls_key: Path = setting("PEM file: the certificate's private key")
    ca_file: Path = setting("PEM file: the private CA that signs the scheduler's certificate")
    scheduler_url: str = setting("address of the scheduler's API, as https://scheduler:8443")
    username: str = setting("account of the warehouse at the scheduler (role warehouse)")
    password: str = setting("password of that account", secret=True)
    images: Path = setting("folder where the images are kept")
    shelf: Path | None = setting(
        "folder of the shelf: operators upload ZIM files of their own into it; none: they can't", default=None
    )
    shelf_file_bytes: int = setting(
        "largest ZIM file that may be uploaded to the shelf", default=200_000_000_000
    )
    passive_ports: PortRange | None = setting(
        "ports of the data channels, as 30000-30099; any free port when missing", default=None
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")
