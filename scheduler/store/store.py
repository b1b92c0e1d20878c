"""Everything that the scheduler keeps, one attribute a collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from scheduler.store.alarms import Alarms
from scheduler.store.bases import Bases
from scheduler.store.catalogue import CatalogueStore
from scheduler.store.database import Clock, Database, Document, in_transaction, utc_now
from scheduler.store.dead_letters import DeadLetters
from scheduler.store.drains import Drains
from scheduler.store.enrolments import Enrolments
from scheduler.store.health import Health
from scheduler.store.images import Images
from scheduler.store.keys import Keys
from scheduler.store.mails import Mails
from scheduler.store.media import Media
from scheduler.store.monitors import Monitors
from scheduler.store.orders import Orders
from scheduler.store.outbox import Outbox
from scheduler.store.past_work import PastWork
from scheduler.store.pictures import Pictures
from scheduler.store.queue import Queue
from scheduler.store.recipes import Recipes
from scheduler.store.rounds import Rounds
from scheduler.store.schedules import Schedules
from scheduler.store.task_logs import TaskLogs
from scheduler.store.tasks import Tasks
from scheduler.store.tokens import Tokens
from scheduler.store.users import Users
from scheduler.store.warehouses import Warehouses
from scheduler.store.workers import Workers

T = TypeVar("T")

log = structlog.get_logger(__name__)

WAIT_SECONDS = 1.0
"""Time between two questions whether the database answers."""

COLLECTIONS = (
    "orders",
    "tasks",
    "outbox",
    "counters",
    "images",
    "alarms",
    "drains",
    "turns",
    "enrolments",
    "users",
    "mails",
)
"""Those that a transaction may be the first to write; MongoDB wants them made before."""


class Store:
    """The collections, a clock, and transactions over them.

    Args:
        database: from :func:`scheduler.store.database.connect`.
        clock: the present, in UTC.
    """

    def __init__(self, database: Database[Document], clock: Clock = utc_now) -> None:
        self._database = database
        self.clock = clock
        self.alarms = Alarms(database, clock)
        self.bases = Bases(database)
        self.catalogue = CatalogueStore(database, clock)
        self.dead_letters = DeadLetters(database, clock)
        self.enrolments = Enrolments(database, clock)
        self.drains = Drains(database, clock)
        self.health = Health(database, clock)
        self.images = Images(database, clock)
        self.keys = Keys(database, clock)
        self.image_keys = Keys(database, clock, "image_keys")
        self.mails = Mails(database, clock)
        self.media = Media(database)
        self.monitors = Monitors(database, clock)
        self.orders = Orders(database)
        self.outbox = Outbox(database, clock)
        self.past_work = PastWork(database)
        self.pictures = Pictures(database, clock)
        self.queue = Queue(database, clock)
        self.recipes = Recipes(database, clock)
        self.rounds = Rounds(database, clock)
        self.schedules = Schedules(database)
        self.task_logs = TaskLogs(database, clock)
        self.tasks = Tasks(database)
        self.tokens = Tokens(database, clock)
        self.users = Users(database, clock)
        self.warehouses = Warehouses(database)
        self.workers = Workers(database, clock)

    def prepare(self) -> None:
        """Makes collections and indexes that are missing; safe to repeat, and from several processes."""
        there = set(self._database.list_collection_names())
        for name in COLLECTIONS:
            if name not in there:
                self._make_collection(name)
        for collection in (
            self.alarms,
            self.catalogue,
            self.dead_letters,
            self.drains,
            self.enrolments,
            self.keys,
            self.mails,
            self.monitors,
            self.orders,
            self.outbox,
            self.queue,
            self.recipes,
            self.rounds,
            self.schedules,
            self.task_logs,
            self.tasks,
            self.tokens,
            self.users,
            self.workers,
        ):
            collection.prepare()

    def transaction(self, work: Callable[[ClientSession], T]) -> T:
        """Runs ``work(session)`` as one transaction, again when another one was in the way."""
        return in_transaction(self._database, work)

    def answers(self) -> bool:
        """Whether the database answers now, with a primary."""
        try:
            self._database.command("ping")
        except PyMongoError:
            return False
        return True

    def _make_collection(self, name: str) -> None:
        try:
            self._database.create_collection(name)
        except PyMongoError:
            if name not in self._database.list_collection_names():  # another process was first
                raise


def wait_for(store: Store, pause: Callable[[float], object] = time.sleep) -> None:
    """Returns when the database answers; says so in the log while it doesn't."""
    while not store.answers():
        log.warning("waiting for the database")
        pause(WAIT_SECONDS)
