"""A card that runs in a virtual machine, asked for its pages as a guest on its Wi-Fi asks."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from cardshop.contract.errors import BootFailed
from cardshop.virtual_machine import LOOPBACK

ANSWER_SECONDS = 120.0
"""An emulated machine is slow, and slower on a host that has other work."""

MOST_REDIRECTS = 8
PAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """An answer of the card's web server, redirects followed."""

    status: int
    kind: str  # its content type
    body: bytes

    @property
    def is_html(self) -> bool:
        """Whether it is a web page that has something to show."""
        return self.status == 200 and self.kind.startswith("text/html") and bool(self.body.strip())

    @property
    def links(self) -> tuple[str, ...]:
        """Where its links lead, as they are written."""
        reader = _LinkReader()
        reader.feed(self.body.decode(errors="replace"))
        return tuple(reader.found)

    @property
    def said(self) -> str:
        """In short, for a person."""
        return f"status {self.status}, {self.kind or 'no type'}, {len(self.body)} bytes"


class _LinkReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


class BootedCard:
    """The card's web server.

    Args:
        port: of this machine, that leads to the card's port 80.
        name: the card's full name, as guests write it; addresses elsewhere are not followed.
    """

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        self._name = name

    def page(self, address: str) -> Page:
        """What the card gives at an address of its own.

        Raises:
            BootFailed: it doesn't answer, or leads elsewhere.
        """
        for _ in range(MOST_REDIRECTS):
            page, leads_to = self._ask(address)
            if leads_to is None:
                return page
            target = urlsplit(urljoin(f"http://{self._name}{address}", leads_to))
            if target.hostname != self._name:
                raise BootFailed(f"The card leads from its page {address} to another host.")
            address = target._replace(scheme="", netloc="", fragment="").geturl() or "/"
        raise BootFailed(f"The card's page {address} leads round in a circle.")

    def _ask(self, address: str) -> tuple[Page, str | None]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", address, headers={"Host": self._name})
            answer = connection.getresponse()
            page = Page(answer.status, answer.getheader("Content-Type", ""), answer.read(PAGE_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise BootFailed(f"The card that was started does not answer at {address}: {error}.") from error
        finally:
            connection.close()
        leads = answer.getheader("Location") if answer.status in (301, 302, 303, 307, 308) else None
        return page, leads
