"""Factories of the scheduler's records, and a store of its own for each test."""

from __future__ import annotations

import functools
import itertools
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from pymongo import WriteConcern

from cardshop.contract.events import Card, CardWritten, Event, EventType, ImageBuilt
from cardshop.contract.tasks import BaseReference, Content
from scheduler.domain.orders import OrderDraft, Recipient
from scheduler.domain.recipes import Recipe, ResolvedRecipe
from scheduler.domain.rights import Role
from scheduler.domain.tasks import Task
from scheduler.store.database import Database, Document, connect, utc_now
from scheduler.store.store import Store, wait_for
from scheduler.store.warehouses import Warehouse

DIGEST = "ab" * 32


TEST_DATABASES = "test_"


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def forward(self, step: timedelta) -> None:
        self.now += step


def new_database(mongo_uri: str) -> Database[Document]:
    """An empty database with its collections and indexes.

    They are made without waiting for the disk: half a hundred of them, for each of some hundred tests.
    """
    server = _server(mongo_uri)
    wait_for(Store(server))
    name = f"{TEST_DATABASES}{uuid.uuid4().hex}"
    hasty = server.client.get_database(name, server.codec_options, write_concern=WriteConcern(1, j=False))
    Store(hasty, utc_now).prepare()
    return server.client.get_database(name, server.codec_options)


def drop_databases(mongo_uri: str) -> None:
    """Drops all that :func:`new_database` made.

    mongod keeps each collection and index open as a file for minutes: hundreds of databases end it.
    """
    client = _server(mongo_uri).client
    for name in client.list_database_names():
        if name.startswith(TEST_DATABASES):
            client.drop_database(name)


@functools.cache
def _server(mongo_uri: str) -> Database[Document]:
    """One client for all tests of a process: each has threads of its own, and connections to wait for."""
    return connect(mongo_uri)


def new_store(mongo_uri: str, clock: Clock | None = None) -> Store:
    """A store over an empty database with a creator, two writers that are online, and a warehouse."""
    store = Store(new_database(mongo_uri), clock or utc_now)
    add_workers(store, Role.CREATOR, 2)
    add_workers(store, Role.WRITER, 2)
    store.warehouses.put(Warehouse("warehouse", "localhost", 2121))
    return store


def same_store(store: Store, clock: Clock) -> Store:
    """The same database as another process has it: nothing of the first is remembered."""
    return Store(store._database, clock)


def add_workers(store: Store, role: Role, count: int) -> None:
    """Workers ``<role>-1`` to ``<role>-<count>`` are there, online."""
    for number in range(1, count + 1):
        username = f"{role}-{number}"
        if store.users.find(username) is None:
            store.users.add(username, role, "no password")
        store.workers.seen(username, role, f"{username}@desk", online=True)


def add_people(store: Store) -> None:
    """A person of each role, with an address and a language."""
    for name, role, language in (
        ("admin", Role.ADMIN, "en"),
        ("operator", Role.OPERATOR, "fr"),
        ("technician", Role.TECHNICIAN, "es"),
        ("client", Role.CLIENT, "fr"),
    ):
        store.users.add(name, role, "no password", email=f"{name}@shop.example", language=language)


def a_draft(*, quantity: int = 2, image_digest: str = DIGEST, owner: str = "operator") -> OrderDraft:
    """A valid order."""
    recipe = Recipe(
        name="Library",
        hostname="kiwix",
        domain="hotspot",
        ssid="Kiwix Hotspot",
        wifi_password=None,
        language="en",
        timezone="UTC",
        admin_account=None,
        base="cardshop-amd64",
        contents=("demo:faq:",),
        size="8 GB",
    )
    content = Content("demo:faq:", "FAQ", "eng", "faq.zim", "https://mirror/faq.zim", (), 1000, "c" * 64)
    resolved = ResolvedRecipe(
        recipe, BaseReference("cardshop-amd64", "b" * 64), (content,), "8 GB", 7_759_462_400
    )
    return OrderDraft(
        owner, "School", Recipient("School", "school@shop.example"), quantity, None, resolved, image_digest
    )


_seq = itertools.count(1)


def told(task: Task, event_type: EventType, **values: object) -> Event:
    """An event of the task's worker, newer than all before."""
    event = Event(
        type=event_type,
        hostname=f"{task.worker}@desk",
        timestamp=0.0,
        task_id=task.id,
        attempt=task.attempt,
        claim=task.claim,
        seq=next(_seq),
        body=None,
    )
    return replace(event, **values)  # type: ignore[arg-type]


def image_built(digest: str = DIGEST) -> ImageBuilt:
    """The outcome of a create task."""
    return ImageBuilt(digest, 7_759_462_400, 600_000_000, "e" * 64, {"build": 1.0})


def card_written(slot: str = "A", digest: str = DIGEST) -> CardWritten:
    """The outcome of a write task."""
    return CardWritten(digest, slot, Card(f"card-{slot}", 7_948_206_080), 600_000_000, {"write": 1.0})
