"""The API over a database of its own, as the accounts of a test call it; and a catalogue to order from."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt

from cardshop.stack.folder import StackFolder
from cardshop.stack.library import PORTS, Library
from cardshop.stack.ports import kept_ports
from scheduler.api.services import Services
from scheduler.app import make_app
from scheduler.assembly import services_over
from scheduler.domain.media import COMMON_MEDIA
from scheduler.domain.rights import Role
from scheduler.settings import ShopSettings
from scheduler.shop import image_signatures
from scheduler.shop.catalogue import refresh
from scheduler.store.bases import Base
from scheduler.store.database import Clock, utc_now
from scheduler.store.store import Store
from scheduler.store.warehouses import Warehouse
from tests.real_services import Running
from tests.shop import new_database
from tests.zims import make_zim

PASSWORD = "a password of tests"
SECRET_KEY = "the tests' secret key, long enough for a seal"
WIFI_KEY = "reading-is-free"
CARD_PASSWORD = "only on the card"


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    body: Any  # JSON, or text
    headers: Mapping[str, str]


class Api:
    """Calls the API as an account; there is one account a role, named like it, and ``client-2``."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.store = services.store
        self._client = make_app(services).test_client()
        self._tokens: dict[str, str] = {}

    def call(
        self, method: str, path: str, body: Any = None, *, who: str | None = "admin", **more: Any
    ) -> Answer:
        """Sends a request; ``who`` None sends no token."""
        headers = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self._token(who)}"
        sent = {} if body is None else {"json": body}
        response = self._client.open(path, method=method, headers=headers, **sent, **more)
        told = (
            response.get_json()
            if "json" in (response.content_type or "")
            else response.get_data(as_text=True)
        )
        return Answer(response.status_code, told, dict(response.headers))

    def get(self, path: str, *, who: str | None = "admin") -> Any:
        """What a good GET answers."""
        answer = self.call("GET", path, who=who)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path: str, body: Any = None, *, who: str | None = "admin") -> Any:
        """What a good POST answers."""
        answer = self.call("POST", path, body, who=who)
        assert answer.status in (200, 201), answer
        return answer.body

    def log_in(self, who: str) -> dict[str, Any]:
        """A new pair of tokens."""
        pair: dict[str, Any] = self.post("/v1/tokens", {"username": who, "password": PASSWORD}, who=None)
        return pair

    def log_in_again(self) -> None:
        """Forgets the tokens: the clock was set past their end."""
        self._tokens.clear()

    def _token(self, who: str) -> str:
        if who not in self._tokens:
            self._tokens[who] = self.log_in(who)["access_token"]
        return self._tokens[who]


def new_api(mongo_uri: str, *, clock: Clock = utc_now) -> Api:
    """The API over an empty shop: accounts, media, a base and a warehouse, no catalogue."""
    settings = ShopSettings(mongo_uri=mongo_uri, secret_key=SECRET_KEY, private_mirrors=("127.0.0.1",))
    services = services_over(Store(new_database(mongo_uri), clock), settings)
    services.signing.ensure_key()
    image_signatures.ensure_key(services.store, services.seal)
    for role in Role:
        services.store.users.add(role.value, role, _password_hash())
    services.store.users.add("client-2", Role.CLIENT, _password_hash())
    for medium in COMMON_MEDIA:
        services.store.media.add(medium)
    services.store.bases.put(a_base())
    services.store.warehouses.put(Warehouse("main", "warehouse.test", 2121))
    return Api(services)


def a_base() -> Base:
    """A base image of a usual size."""
    return Base(
        name="cardshop-amd64",
        architecture="amd64",
        release="bookworm",
        built="2026-01-01T00:00:00Z",
        bytes=1_300_000_000,
        sha256="b" * 64,
        boot_bytes=512 * 1024 * 1024,
        root_bytes=760 * 1024 * 1024,
    )


def a_recipe(contents: list[str], **changes: Any) -> dict[str, Any]:
    """A recipe as a person sends it, with both secrets."""
    return {
        "name": "Library",
        "wifi_password": WIFI_KEY,
        "admin_account": {"login": "teacher", "password": CARD_PASSWORD},
        "base": "cardshop-amd64",
        "contents": contents,
        **changes,
    }


def an_order(**changes: Any) -> dict[str, Any]:
    """An order as a person sends it, but for its recipe."""
    return {"quantity": 2, "recipient": {"name": "School", "email": "school@example.org"}, **changes}


@contextmanager
def published_library(root: Path) -> Iterator[Library]:
    """kiwix-serve's feed of two small ZIM files, with a mirror that has their metalinks."""
    folder = StackFolder(root)
    library = Library(folder, kept_ports(folder.root / "stack.json", PORTS))
    make_zim(library.folder / "hello.zim", "Hello library")
    make_zim(library.folder / "bonjour.zim", "Bonjour bibliothèque", language="fra")
    running = Running(folder, library.services())
    running.start()
    try:
        library.publish()
        yield library
    finally:
        running.stop()


def read_catalogue(api: Api, feed_url: str, name: str = "local") -> list[str]:
    """Registers and reads a feed; the idents that it lists."""
    api.store.catalogue.add(name, feed_url)
    refresh(api.store, api.services.web, name)
    entries = api.get(f"/v1/catalogue/entries?catalogue={name}")["items"]
    return [entry["ident"] for entry in entries]


@functools.cache
def _password_hash() -> str:
    # bcrypt's least cost: a hundred tests log in, and how much a login costs is not what they show.
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
