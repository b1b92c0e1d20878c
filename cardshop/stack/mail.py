"""The mail server that a stack hands its mails to, when it is told of one; else its mails are only kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import Address

DOMAIN = "cardshop.example"
"""Of the addresses of a stack's people, and of whom its mails are from; nothing is delivered there."""


@dataclass(frozen=True)
class StackMail:
    """Where mails go. TLS (STARTTLS) is required.

    Attributes:
        address: of the mail server; its certificate is for this host.
        ca_file: PEM of who signed that certificate; None: the system's authorities.
        username: to log in with; empty: no login.
        password_file: the file with its password.
        sender: whom the mails are from.
    """

    address: Address
    ca_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    sender: str = f"Cardshop <cards@{DOMAIN}>"

    def environment(self) -> dict[str, str]:
        """The settings of beat."""
        optional = {
            "CARDSHOP_SMTP_CA_FILE": self.ca_file,
            "CARDSHOP_SMTP_USERNAME": self.username,
            "CARDSHOP_SMTP_PASSWORD_FILE": self.password_file,
        }
        return {
            "CARDSHOP_SMTP_HOST": self.address.host,
            "CARDSHOP_SMTP_PORT": str(self.address.port),
            "CARDSHOP_MAIL_FROM": self.sender,
            **{name: str(value) for name, value in optional.items() if value},
        }
