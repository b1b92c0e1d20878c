"""The manager's pages over a real scheduler API (HTTPS), as a browser without scripts sees them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from flask.testing import FlaskClient
from werkzeug.serving import make_server

from cardshop.scheduler_client import SchedulerClient
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from manager.app import make_app as make_manager
from manager.settings import Settings
from scheduler.app import make_app as make_scheduler
from tests.api import PASSWORD, Api

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    """An element of a page."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    own_text: str = ""

    def all(self, *names: str) -> list[Element]:
        """The elements below of these names, in their order."""
        found = []
        for child in self.children:
            found += [child] if child.name in names else []
            found += child.all(*names)
        return found

    def one(self, name: str, /, **attributes: str) -> Element:
        """The only element below of this name with these attributes."""
        found = [each for each in self.all(name) if attributes.items() <= each.attributes.items()]
        assert len(found) == 1, (name, attributes, len(found))
        return found[0]

    @property
    def text(self) -> str:
        """The words of the element and of those below."""
        return " ".join(" ".join([self.own_text, *(child.text for child in self.children)]).split())


class Page(HTMLParser):
    """What a request answered."""

    def __init__(self, status: int, html: str) -> None:
        super().__init__()
        self.status = status
        self.html = html
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(html)

    @property
    def text(self) -> str:
        """All words of the page."""
        return self.root.text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].name == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].own_text += data


class Visitor:
    """A person who is logged in."""

    def __init__(self, client: FlaskClient, username: str) -> None:
        self._client = client
        token = self.get("/login").root.one("input", name="csrf_token").attributes["value"]
        sent = {"username": username, "password": PASSWORD, "csrf_token": token}
        assert client.post("/login", data=sent).status_code == 303

    def get(self, path: str) -> Page:
        answer = self._client.get(path)
        return Page(answer.status_code, answer.text)

    def send(self, page: Page, action: str, **values: str) -> Page:
        """Sends the form of the page that posts to ``action``, and follows to where that leads."""
        form = page.root.one("form", action=action)
        token = form.one("input", name="csrf_token").attributes["value"]
        answer = self._client.post(action, data={**values, "csrf_token": token}, follow_redirects=True)
        return Page(answer.status_code, answer.text)


@contextmanager
def scheduler_served(api: Api, authority: Authority) -> Iterator[str]:
    """The API over HTTPS; its address."""
    certificate = authority.server("scheduler")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = make_server("127.0.0.1", 0, make_scheduler(api.services), threaded=True, ssl_context=context)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"https://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        serving.join()


@contextmanager
def scheduler_of(api: Api, folder: Path, username: str) -> Iterator[SchedulerClient]:
    """The API as an account reaches it over HTTPS."""
    authority = Authority(folder)
    with scheduler_served(api, authority) as url:
        yield SchedulerClient(url, authority.certificate_file, username, PASSWORD)


@contextmanager
def manager_of(api: Api, folder: Path, *, pages_url: str = "") -> Iterator[FlaskClient]:
    """The manager in front of ``api``, which is served over HTTPS meanwhile."""
    authority = Authority(folder)
    with scheduler_served(api, authority) as url:
        settings = Settings(
            listen=Address("127.0.0.1", 8080),
            scheduler_url=url,
            ca_file=authority.certificate_file,
            secret_key="k" * 32,
            pages_url=pages_url,
        )
        yield make_manager(settings).test_client()
