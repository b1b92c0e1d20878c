"""How soon an accepted order reaches a worker, beside plain Celery: ``make bench-dispatch``.

Real parts, started here: MongoDB, RabbitMQ (TLS), the scheduler (``python -m scheduler``: gunicorn, HTTPS)
and one beat. Orders come at a fixed rate, each for another image, over the API; a process with a creator's
account takes the tasks from the queue. Measured is from the moment that the order keeps as that of its
acceptance (it stands in the answer) to that of the task's receipt: the transaction, the round that hands it
out, the outbox and the broker lie between.

The peer, at the same rate in the same run, over the same broker and queue: Celery's ``apply_async`` with
publisher confirms, from the call to the receipt. It stores nothing: what Cardshop does besides is the price
of an order that outlives every crash.

Tasks that were received are ended in the database by the bench, in place of creators that build.
Prints a table and writes ``var/bench/dispatch.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import requests
from celery import Celery
from kombu import Connection, Message, Queue
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.table import Table

from beat.app import celery_app
from beat.topology import declare
from cardshop import broker
from cardshop.contract import names
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.waiting import listens, wait_for
from scheduler.domain.catalogue import Entry
from scheduler.domain.media import COMMON_MEDIA
from scheduler.domain.rights import Role
from scheduler.shop.dispatching import dispatch
from scheduler.shop.passwords import hash_password
from scheduler.store.database import connect
from scheduler.store.store import Store
from scheduler.store.warehouses import Warehouse
from tests.api import PASSWORD, SECRET_KEY, a_base
from tests.mirror import Mirror, serve_mirror
from tests.real_services import RealMongod, RealRabbit

RESULTS = Path("var/bench/dispatch.json").absolute()
CREATORS = 60
"""Accounts that count as online: as many tasks, and one, may be in hand."""

HEARD_SECONDS = 10.0
"""Between two signs of life of the creators."""

CALLERS = 32
"""Connections that orders come over."""

IDENT = "bench:faq:"
METALINK = f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="faq.zim"><size>1000000</size>
<hash type="sha-256">{"c" * 64}</hash><url>http://127.0.0.1/faq.zim</url></file></metalink>"""
LAST_SECONDS = 60.0
"""How long the last tasks may take to come."""

say = Console(stderr=True).print


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dispatch", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rates", default="1,10,100", help="orders a second, comma separated")
    parser.add_argument("--seconds", type=int, default=20, help="for how long, each")
    given = parser.parse_args()
    folder = RESULTS.parent / "dispatch-services"
    shutil.rmtree(folder, ignore_errors=True)
    mongod, rabbit = RealMongod(folder / "mongod"), RealRabbit(folder / "rabbit")
    say("starting MongoDB, RabbitMQ, the scheduler and beat")
    with ExitStack() as running:
        for service in (mongod, rabbit):
            service.start()
            running.callback(service.stop)
        mirror = running.enter_context(serve_mirror())
        mirror.files["faq.zim.meta4"] = METALINK.encode()
        bench = Bench(mongod, rabbit, folder)
        running.enter_context(bench.open(mirror))
        rows = [
            row for rate in map(int, given.rates.split(",")) for row in bench.measure(rate, given.seconds)
        ]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    _show(rows)
    return 0


class Bench:
    """The services, and what is measured with them."""

    def __init__(self, mongod: RealMongod, rabbit: RealRabbit, folder: Path) -> None:
        self._mongod, self._rabbit, self._folder = mongod, rabbit, folder
        self._store = Store(connect(mongod.uri))
        self._listen = Address("127.0.0.1", _free_port())
        self._received: dict[str, float] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    @contextmanager
    def open(self, mirror: Mirror) -> Iterator[None]:
        """Fills the shop, and runs scheduler, beat, receiver and the end of tasks."""
        self._store.prepare()
        self._furnish(mirror)
        with self._connection() as connection:
            declare(connection, [])
        here, there = multiprocessing.Pipe(duplex=False)
        receiver = multiprocessing.get_context("spawn").Process(
            target=_receive, args=(self._connection_values("creator-1"), there), daemon=True
        )
        receiver.start()
        stopped = threading.Event()
        threads = [
            threading.Thread(target=self._take, args=(here,), daemon=True),
            threading.Thread(target=self._end_tasks, args=(stopped,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        with self._running("scheduler"), self._running("beat"):
            wait_for("scheduler", lambda: listens(self._listen), 60)
            self._log_in()
            yield
        stopped.set()
        receiver.terminate()
        receiver.join()

    def measure(self, rate: int, seconds: int) -> Iterator[dict[str, Any]]:
        """The rows of one rate."""
        count = max(10, rate * seconds)
        say(f"{count} orders, {rate} a second")
        ours, answers = self._orders(rate, count)
        say(f"the API answers: median {_part(answers, 0.5):.1f} ms, p99 {_part(answers, 0.99):.1f} ms")
        say(f"{count} tasks by Celery, {rate} a second")
        theirs = self._plain_tasks(rate, count)
        for name, part in (("median", 0.5), ("p99", 0.99)):
            mine, other = _part(ours, part), _part(theirs, part)
            yield {
                "work": f"{name} from accepted to received, {rate} orders a second ({count} orders)",
                "unit": "ms",
                "ours": round(mine, 1),
                "peer": f"Celery {importlib.metadata.version('celery')} apply_async, confirmed",
                "theirs": round(other, 1),
                "ratio": round(mine / other, 2),
            }

    def _orders(self, rate: int, count: int) -> tuple[list[float], list[float]]:
        """Milliseconds from accepted to received, and of the API's answers."""

        def place(number: int) -> tuple[str, float, float]:
            began = time.time()
            order = self._order(number)
            accepted = datetime.fromisoformat(order["created_at"]).timestamp()
            return order["tasks"][0]["id"], accepted, (time.time() - began) * 1000

        placed = _at_rate(rate, count, place)
        received = self._wait_for([task_id for task_id, _, _ in placed])
        return (
            [(received[task_id] - accepted) * 1000 for task_id, accepted, _ in placed],
            [milliseconds for _, _, milliseconds in placed],
        )

    def _plain_tasks(self, rate: int, count: int) -> list[float]:
        """Milliseconds from Celery's ``apply_async`` to the receipt."""
        app = celery_app(self._connection())
        message = {"image_digest": "ab" * 32, "contents": [METALINK], "order_id": str(uuid.uuid4())}

        @app.task(name=names.CREATE_TASK)  # type: ignore[untyped-decorator]  # Celery has no types
        def create(message: object) -> None:
            """Never run here."""

        def send(_: int) -> tuple[str, float]:
            began, task_id = time.time(), str(uuid.uuid4())
            create.apply_async(
                kwargs={"message": message},
                task_id=task_id,
                exchange=names.TASK_EXCHANGE,
                routing_key=names.CREATE_QUEUE,
                declare=[],
            )
            return task_id, began

        _warm(app, send)
        sent = _at_rate(rate, count, send)
        received = self._wait_for([task_id for task_id, _ in sent])
        return [(received[task_id] - began) * 1000 for task_id, began in sent]

    def _order(self, number: int) -> dict[str, Any]:
        body = {
            "recipe": {
                "name": "Bench",
                # Another name of the network makes another image: none is there or awaited already.
                "ssid": f"bench {number} {uuid.uuid4().hex[:12]}",
                "base": a_base().name,
                "contents": [IDENT],
                "size": COMMON_MEDIA[0].name,
            },
            "quantity": 0,
            "recipient": {"name": "School"},
        }
        answer = self._session.post(f"https://{self._listen}/v1/orders", json=body, timeout=60)
        answer.raise_for_status()
        order: dict[str, Any] = answer.json()
        return order

    def _wait_for(self, task_ids: Sequence[str]) -> dict[str, float]:
        end = time.monotonic() + LAST_SECONDS
        while missing := [task_id for task_id in task_ids if task_id not in self._received]:
            if time.monotonic() > end:
                raise SystemExit(f"{len(missing)} of {len(task_ids)} tasks were not received.")
            time.sleep(0.1)
        return self._received

    def _take(self, pipe: Pipe) -> None:
        with contextlib.suppress(EOFError):  # the receiver has ended
            while True:
                task_id, moment = pipe.recv()
                self._received[task_id] = moment

    def _end_tasks(self, stopped: threading.Event) -> None:
        """Gives back the places of the tasks that were received, and keeps the creators heard of."""
        ended, heard = 0, time.monotonic()
        while not stopped.wait(0.1):
            if time.monotonic() - heard > HEARD_SECONDS:
                self._be_heard()
                heard = time.monotonic()
            fresh = list(itertools.islice(self._received, ended, None))
            ended += len(fresh)
            if fresh:
                self._store._database["tasks"].update_many(  # noqa: SLF001 - in place of creators
                    {"_id": {"$in": fresh}}, {"$set": {"state": "failed"}}
                )
                dispatch(self._store)  # as the monitor does when a creator becomes free

    def _be_heard(self) -> None:
        for number in range(CREATORS):
            self._store.workers.seen(
                f"creator-{number}", Role.CREATOR, f"creator-{number}@bench", online=True
            )

    def _furnish(self, mirror: Mirror) -> None:
        store = self._store
        for number in range(CREATORS):
            store.users.add(f"creator-{number}", Role.CREATOR, "no password")
        store.users.add("operator", Role.OPERATOR, hash_password(PASSWORD))
        for medium in COMMON_MEDIA:
            store.media.add(medium)
        store.bases.put(a_base())
        store.warehouses.put(Warehouse("main", "warehouse.test", 2121))
        store.catalogue.add("bench", mirror.url("feed"))
        entry = Entry(
            IDENT,
            "FAQ",
            "",
            "eng",
            "other",
            1_000_000,
            "2026-01-01",
            None,
            mirror.url("faq.zim"),
            None,
            "bench",
        )
        store.catalogue.replace_entries("bench", [entry], etag=None, modified=None)
        self._be_heard()

    def _log_in(self) -> None:
        url = f"https://{self._listen}"
        self._session.mount(url, HTTPAdapter(pool_connections=1, pool_maxsize=CALLERS))
        self._session.verify = str(self._rabbit.ca_file)
        pair = self._session.post(
            f"{url}/v1/tokens", json={"username": "operator", "password": PASSWORD}, timeout=30
        ).json()
        self._session.headers["Authorization"] = f"Bearer {pair['access_token']}"

    def _connection_values(self, username: str) -> tuple[str, int, str, str, Path]:
        address = self._rabbit.address
        return (address.host, address.port, username, self._rabbit.password, self._rabbit.ca_file)

    def _connection(self) -> Connection:
        return broker.connection(*self._connection_values("beat"))

    @contextmanager
    def _running(self, module: str) -> Iterator[None]:
        certificate = Authority(self._rabbit.ca_file.parent).server("scheduler")
        address = self._rabbit.address
        environment = {
            **os.environ,
            "CARDSHOP_MONGO_URI": self._mongod.uri,
            "CARDSHOP_SECRET_KEY": SECRET_KEY,
            "CARDSHOP_PRIVATE_MIRRORS": "127.0.0.1",
            "CARDSHOP_LISTEN": str(self._listen),
            "CARDSHOP_TLS_CERT": str(certificate.certificate),
            "CARDSHOP_TLS_KEY": str(certificate.key),
            "CARDSHOP_BROKER_HOST": address.host,
            "CARDSHOP_BROKER_PORT": str(address.port),
            "CARDSHOP_USERNAME": "beat",
            "CARDSHOP_PASSWORD": self._rabbit.password,
            "CARDSHOP_CA_FILE": str(self._rabbit.ca_file),
        }
        command = [sys.executable, "-m", module]
        with (self._folder / f"{module}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def _receive(values: tuple[str, int, str, str, Path], pipe: Pipe) -> None:
    """A worker's process, as far as it matters here: it takes each task at once, and tells when."""

    def take(_: object, message: Message) -> None:
        pipe.send((message.headers["id"], time.time()))
        message.ack()

    with broker.connection(*values) as connection:
        inbox = Queue(names.CREATE_QUEUE, no_declare=True)
        with connection.Consumer([inbox], callbacks=[take], prefetch_count=100, accept=["json"]):
            while True:
                try:
                    connection.drain_events(timeout=5)
                except TimeoutError:
                    connection.heartbeat_check()


def _at_rate(rate: int, count: int, do: Callable[[int], Any]) -> list[Any]:
    """What ``do(number)`` gave, called at a fixed rate whether the last call has ended or not."""
    done: queue.Queue[Any] = queue.Queue()
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(count):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            done.put(pool.submit(do, number))
    took = time.monotonic() - began
    if took > 1.1 * count / rate + 1:
        say(f"[bold]the rate was not held: {count / took:.0f} a second[/bold]")
    return [done.get().result() for _ in range(count)]


def _warm(app: Celery, send: Callable[[int], Any]) -> None:
    """Opens the connections of Celery's pool, as a service that runs has them."""
    app.conf.broker_pool_limit = CALLERS
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(send, range(CALLERS)))


def _part(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("work", "unit", "ours", "peer", "theirs", "ratio", title="dispatch (lower is better)")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    Console().print(f"written: {RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
