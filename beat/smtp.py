"""Speaks SMTP with a mail server, and tells apart what a sender must know: taken, not now, never, unknown.

The standard library's client does the protocol; here is only what it doesn't tell: whether the server had all
of a mail when the line broke.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime
from pathlib import Path

from scheduler.domain.mails import Mail, Words

TIMEOUT_SECONDS = 30.0
"""Longest wait for one answer. All answers about one mail take less than the limit of its handing over."""


class ServerAway(Exception):
    """No mail can be sent now, whichever it is; none was handed over."""


class TurnedDown(Exception):
    """The server does not take this mail now."""


class Refused(Exception):
    """The server will never take this mail."""


class AnswerLost(Exception):
    """The server had all of the mail, and the line broke before it said whether it takes it."""


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed over, and as whom. There is no way to send without verified TLS."""

    host: str
    port: int
    implicit_tls: bool  # TLS from the first byte (usually port 465), else STARTTLS
    ca_file: Path | None  # who signed its certificate; None: the system's authorities
    username: str
    password: str
    sender: Address

    @contextmanager
    def connect(self) -> Iterator[Line]:
        """A line to the server, logged in. Raises ServerAway."""
        try:
            client = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            raise ServerAway(f"{self.host}:{self.port}: {_told(error)}") from error
        try:
            yield Line(client, self.sender)
        finally:
            # The mails are handed over or not; how the farewell goes changes nothing.
            client.close()

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        client: smtplib.SMTP
        if self.implicit_tls:
            client = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            client = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            if not self.implicit_tls:
                client.starttls(context=context)
            client.ehlo_or_helo_if_needed()
            if self.username:
                client.login(self.username, self.password)
        except BaseException:
            client.close()
            raise
        return client


class Line:
    """A connection to a mail server; mails go over it one after the other."""

    def __init__(self, client: smtplib.SMTP, sender: Address) -> None:
        self._client = client
        self._sender = sender

    def hand_over(self, mail: Mail, words: Words) -> None:
        """Returns when the server has taken the mail.

        Raises:
            TurnedDown, Refused: what the server says of this mail.
            ServerAway: the server didn't get all of it; the line is of no use any more.
            AnswerLost: it may have been taken; the line is of no use any more.
        """
        content = _as_bytes(mail, words, self._sender)
        try:
            self._announce(mail.reader.address)
            self._client.send(content)
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            raise ServerAway(_told(error)) from error
        try:
            self._client.send(b".\r\n")
            self._check(self._client.getreply())
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            raise AnswerLost(f"The line broke while its answer was awaited: {_told(error)}") from error

    def _announce(self, address: str) -> None:
        self._client.rset()
        code, text = self._client.mail(self._sender.addr_spec)
        if code >= 400:  # said of our own address: it would say so of every mail
            raise ServerAway(f"It does not take mails of {self._sender.addr_spec}: {_reply(code, text)}")
        self._check(self._client.rcpt(address))
        self._check(self._client.docmd("DATA"))

    def _check(self, reply: tuple[int, bytes]) -> None:
        code, text = reply
        if code == 421:
            raise ServerAway(_reply(code, text))
        if code >= 500:
            raise Refused(_reply(code, text))
        if code >= 400:
            raise TurnedDown(_reply(code, text))


def sender_address(text: str) -> Address:
    """The address out of ``Cardshop <cards@example.org>``. Raises ValueError."""
    message = EmailMessage()
    try:
        message["From"] = text
        (address,) = message["From"].addresses
    except (MessageError, ValueError, IndexError) as error:
        raise ValueError("use: Name <name@host>") from error
    if not isinstance(address, Address) or not address.domain:
        raise ValueError("use: Name <name@host>")
    return address


def message_id(mail: Mail, sender: Address) -> str:
    """The mail's Message-ID (RFC 5322): made from its id, so that it is the same for each try."""
    return f"<{mail.id}@{sender.domain}>"


def _as_bytes(mail: Mail, words: Words, sender: Address) -> bytes:
    """The mail as it travels (RFC 5321: a dot at the start of a line is doubled), without its last dot."""
    message = EmailMessage(MAIL_POLICY)
    try:
        message["From"] = sender
        message["To"] = Address(addr_spec=mail.reader.address)
        message["Subject"] = words.subject
        message["Date"] = format_datetime(mail.created_at)
        message["Message-ID"] = mail.message_id
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = mail.reader.language
        message.set_content(words.text, cte="quoted-printable")
        message.add_alternative(words.html, subtype="html", cte="quoted-printable")
        mail.reader.address.encode("ascii")
    except (MessageError, ValueError, IndexError) as error:
        raise Refused(f"{mail.reader.address!r} is no address that a mail can be sent to.") from error
    return re.sub(rb"(?m)^\.", b"..", message.as_bytes())


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error)
    if isinstance(error, TimeoutError):
        return "no answer within the time"
    if isinstance(error, socket.gaierror):
        return "there is no host of this name"
    return str(error) or type(error).__name__


def _reply(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"
