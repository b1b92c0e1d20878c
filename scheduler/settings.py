"""The scheduler's settings, read from the environment (see :mod:`cardshop.settings`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import InvalidInput
from cardshop.settings import Address, setting


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """What every command of the scheduler needs."""

    mongo_uri: str = setting("the MongoDB replica set, as mongodb://host:port/?replicaSet=NAME", secret=True)
    secret_key: str = setting(
        "32 or more random characters; make them with: openssl rand -hex 32", secret=True
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")
    private_mirrors: tuple[str, ...] = setting(
        "hosts, comma separated, that catalogues and contents may be fetched from though their address is "
        "not a public one",
        default=(),
    )
    pages_url: str = setting(
        "address of the manager's pages as people open them, for links in mails; none: no links", default=""
    )


@dataclass(frozen=True, kw_only=True)
class Settings(ShopSettings):
    """What the API needs besides."""

    listen: Address = setting("where to serve, as host:port", default=Address("0.0.0.0", 8443))  # noqa: S104
    tls_cert: Path = setting("PEM file of the certificate, with its chain")
    tls_key: Path = setting("PEM file of the certificate's key")
    processes: int = setting("processes that answer; as many as the machine has cores to spare", default=1)

    def __post_init__(self) -> None:
        """Raises InvalidInput when nothing would answer."""
        if self.processes < 1:
            raise InvalidInput("CARDSHOP_PROCESSES is less than 1: nothing would answer.")
