"""A real SMTP server on loopback, with STARTTLS and a login, that keeps what it takes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mail_policy
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from beat.smtp import MailServer, sender_address
from cardshop.private_files import write_private
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.mail import StackMail
from cardshop.stack.ports import kept_ports
from tests.real_services import PATIENCE_SECONDS

USERNAME, PASSWORD = "cardshop", "the mail server's password"
SENDER = "Cardshop <cards@shop.example>"


@dataclass(frozen=True)
class Received:
    """A mail that the server took."""

    to: tuple[str, ...]
    message: EmailMessage

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return str(cast("EmailMessage", self.message.get_body(("plain",))).get_content())

    @property
    def html(self) -> str:
        return str(cast("EmailMessage", self.message.get_body(("html",))).get_content())


class RealMailServer:
    """Takes every mail unless it is told to answer otherwise.

    Args:
        folder: for its certificate.

    Attributes:
        received: in the order of their coming.
        answers: what it answers to the next mails when it has all of them; then it takes them again.
        refuses: addresses that it does not know.
        arrived: set when it has all of a mail; ``hold()`` makes it keep its answer back after that.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.authority = Authority(folder)
        certificate = self.authority.server("mail")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate.certificate, certificate.key)
        self.port = kept_ports(folder / "ports.json", ["mail"])["mail"]
        self.received: list[Received] = []
        self.answers: deque[str] = deque()
        self.refuses: set[str] = set()
        self.arrived = threading.Event()
        self._answer_now = threading.Event()
        self._answer_now.set()
        self._lines: set[asyncio.Transport] = set()
        self._controller: Controller | None = None

    def settings(self, **changes: Any) -> MailServer:
        """How to reach it."""
        fields: dict[str, Any] = {
            "host": "localhost",
            "port": self.port,
            "implicit_tls": False,
            "ca_file": self.authority.certificate_file,
            "username": USERNAME,
            "password": PASSWORD,
            "sender": sender_address(SENDER),
        }
        return MailServer(**{**fields, **changes})

    def stack_mail(self) -> StackMail:
        """How a stack reaches it."""
        password = self._folder / "password"
        write_private(password, PASSWORD)
        return StackMail(
            Address("localhost", self.port), self.authority.certificate_file, USERNAME, password, SENDER
        )

    def start(self) -> None:
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=self._tls,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=_authenticate,
            ready_timeout=PATIENCE_SECONDS,
        )
        self._controller.start()

    def stop(self) -> None:
        self._answer_now.set()
        if self._controller:
            self._controller.stop()
            self._controller = None

    def hold(self) -> None:
        """Keeps back the answers from now on."""
        self.arrived.clear()
        self._answer_now.clear()

    def break_lines(self) -> None:
        """Ends the connections that it has, without a word."""
        assert self._controller
        for line in list(self._lines):
            # A loop that rests is not woken by a call from another thread.
            self._controller.loop.call_soon_threadsafe(line.abort)

    def let_go(self) -> None:
        """Answers again."""
        self._answer_now.set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address in self.refuses:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert session.ssl
        assert session.authenticated
        if self.answers:
            return self.answers.popleft()
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=mail_policy)
        self._lines.add(cast("asyncio.Transport", server.transport))
        self.received.append(Received(tuple(envelope.rcpt_tos), message))
        self.arrived.set()
        wait: Callable[[float], bool] = self._answer_now.wait
        await asyncio.get_running_loop().run_in_executor(None, wait, PATIENCE_SECONDS)
        return "250 taken"


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, auth_data: Any
) -> AuthResult:
    right = isinstance(auth_data, LoginPassword) and auth_data == LoginPassword(
        USERNAME.encode(), PASSWORD.encode()
    )
    return AuthResult(success=right, handled=False)
