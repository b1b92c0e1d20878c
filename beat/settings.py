"""Settings of beat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from beat.smtp import MailServer, sender_address
from cardshop.contract.errors import InvalidInput
from cardshop.settings import setting
from scheduler.domain.silence import Limits


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
    smtp_host: str = setting("host name of the mail server; none: mails are kept, not sent", default="")
    smtp_port: int = setting("its port: usually 587, or 465 with CARDSHOP_SMTP_TLS=implicit", default=587)
    smtp_tls: str = setting(
        "starttls (required and verified), or implicit: from the first byte", default="starttls"
    )
    smtp_ca_file: Path | None = setting(
        "PEM file of who signed the mail server's certificate; none: the system's authorities", default=None
    )
    smtp_username: str = setting("account at the mail server; none: it wants no login", default="")
    smtp_password: str = setting("its password; better CARDSHOP_SMTP_PASSWORD_FILE", default="", secret=True)
    mail_from: str = setting("whom mails are from: Name <name@host>; needed with a mail server", default="")
    pages_url: str = setting(
        "address of the manager's pages as people open them, for links in mails; none: no links", default=""
    )
    worker_silent_seconds: float = setting(
        "a worker without a heartbeat for so long is silent, and its tasks go to others", default=60.0
    )
    slot_silent_seconds: float = setting(
        "a slot that its writer tells nothing of for so long is silent: reader or hub hang", default=120.0
    )
    task_silent_seconds: float = setting(
        "a task that a worker has and that makes no progress for so long has timed out", default=900.0
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR", default="INFO")

    @property
    def silence(self) -> Limits:
        """The longest silence of each."""
        return Limits(
            worker=timedelta(seconds=self.worker_silent_seconds),
            slot=timedelta(seconds=self.slot_silent_seconds),
            task=timedelta(seconds=self.task_silent_seconds),
        )


def mail_server(settings: Settings) -> MailServer | None:
    """The mail server of the settings; None when there is none. Raises InvalidInput."""
    if not settings.smtp_host:
        return None
    if settings.smtp_tls not in ("starttls", "implicit"):
        raise InvalidInput(f"CARDSHOP_SMTP_TLS is {settings.smtp_tls!r}: use starttls or implicit.")
    if bool(settings.smtp_username) != bool(settings.smtp_password):
        raise InvalidInput("Of CARDSHOP_SMTP_USERNAME and CARDSHOP_SMTP_PASSWORD_FILE give both, or none.")
    try:
        sender = sender_address(settings.mail_from)
    except ValueError as error:
        raise InvalidInput(f"CARDSHOP_MAIL_FROM is {settings.mail_from!r}: {error}.") from None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        implicit_tls=settings.smtp_tls == "implicit",
        ca_file=settings.smtp_ca_file,
        username=settings.smtp_username,
        password=settings.smtp_password,
        sender=sender,
    )
