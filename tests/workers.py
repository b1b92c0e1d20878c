"""A worker that a test starts and kills, and the shop around it: beat's publisher, monitor, claims.

The worker is a process of its own that runs ``cardshop.worker`` with :func:`work`, which only tells
progress until the test lets it finish. Claims are answered by the shop's own use case behind a small HTTPS
door, so that a test can shut it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from beat.app import celery_app
from beat.outbox import OutboxPublisher
from cardshop import logs
from cardshop.contract import names
from cardshop.contract.errors import CardFailed, CardshopError
from cardshop.contract.events import Card, ImageBuilt, Outcome, Phase
from cardshop.contract.tasks import Claim, CreateTask, WarehouseAccess
from cardshop.settings import load, setting
from cardshop.stack.certificates import Authority
from cardshop.stack.ports import free_port
from cardshop.worker import Job, Reporter, Slots, WorkerSettings, run_worker
from monitor.app import Monitor
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import tasks as shop_tasks
from scheduler.store.store import Store
from tests.real_services import PATIENCE_SECONDS, RealRabbit


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings):
    """Of the worker under test."""

    journal: Path = setting("folder: what the work did is written there, what it shall do is read")


def work(folder: Path, task: CreateTask, claim: Claim, reporter: Reporter) -> Outcome:
    """Tells progress until the file ``finish`` is there; ``fail`` makes it fail, ``stubborn`` deaf."""
    _note(folder, f"begun {task.task_id} {claim.claim} {os.getpid()}")
    reporter.log("begun")
    steps = 0
    pause = threading.Event()
    try:
        while not (folder / "finish").exists():
            steps += 1
            reporter.progress(Phase.BUILD, steps, 0, "steps")
            pause.wait(0.02)
    finally:
        _note(folder, f"left {task.task_id} {claim.claim}")
    if (folder / "fail").exists():
        raise CardFailed("It does not work.", hint="Try another.")
    return ImageBuilt(task.image_digest, task.size_bytes, steps, "e" * 64, {"build": 1.0})


def watch(slots: Slots, stop: threading.Event) -> None:
    """A writer's slots: one, with a card."""
    slots.slot_changed("A", Card("card-A", 8_000_000_000))
    stop.wait()


def _note(folder: Path, line: str) -> None:
    with (folder / "journal").open("a") as journal:
        journal.write(line + "\n")


def main() -> int:
    """The worker process."""
    settings = load(Settings, os.environ)
    logs.set_up("worker", settings.log_level)

    def bound(task: CreateTask, claim: Claim, reporter: Reporter) -> Outcome:
        return work(settings.journal, task, claim, reporter)

    return run_worker(
        settings, Job(names.CREATE_TASK, names.CREATE_QUEUE, CreateTask.from_wire, bound), watch
    )


class ClaimDoor:
    """The scheduler's two routes that workers use, over the shop's own use case."""

    def __init__(self, store: Store, rabbit: RealRabbit) -> None:
        self._store = store
        certificate = Authority(rabbit.ca_file.parent).server("scheduler")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._server: ThreadingHTTPServer | None = None
        # Kept while it is shut, and so no port that a client's socket may be given meanwhile.
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    def open(self) -> None:
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = door._answer(self.path, body, self.headers.get("Authorization", ""))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def shut(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, path: str, body: dict[str, Any], authorization: str) -> tuple[int, dict[str, Any]]:
        if path == "/v1/tokens":
            return 200, {"access_token": body["username"], "expires_in": 3600}
        task_id = path.split("/")[3]
        try:
            claimed = shop_tasks.claim(
                self._store, task_id, body["attempt"], worker=authorization.split()[1], role=Role.CREATOR
            )
        except CardshopError as error:
            return error.status, {**error.to_wire(), "detail": error.sentence}
        access = WarehouseAccess("localhost", 2121, "token", "2030-01-01T00:00:00Z")
        return 201, Claim(task_id, claimed.task.attempt, claimed.task.claim, access).to_wire()


class WorkerProcess:
    """One worker process."""

    def __init__(self, rabbit: RealRabbit, door: ClaimDoor, folder: Path, username: str) -> None:
        self.journal = folder
        self._log = folder / f"{username}.log"
        self._environment = {
            **os.environ,
            "CARDSHOP_BROKER_HOST": rabbit.address.host,
            "CARDSHOP_BROKER_PORT": str(rabbit.address.port),
            "CARDSHOP_SCHEDULER_URL": door.url,
            "CARDSHOP_USERNAME": username,
            "CARDSHOP_PASSWORD_FILE": str(rabbit.password_file),
            "CARDSHOP_CA_FILE": str(rabbit.ca_file),
            "CARDSHOP_JOURNAL": str(folder),
            "CARDSHOP_LOG_LEVEL": "INFO",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.workers"],
                env=self._environment,
                stderr=log,
                stdout=log,
                cwd=Path(__file__).parents[1],
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        assert self._process
        return self._process.wait(seconds)

    def stop(self) -> None:
        """Kills it together with its child, which could tell the next test of what it goes on with."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def lines(self, word: str) -> list[list[str]]:
        """The journal's lines that begin with ``word``, in words."""
        path = self.journal / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines if line.startswith(word)]

    @property
    def log(self) -> str:
        return self._log.read_text()


class Shop:
    """A store with beat's publisher and a monitor running, and the door for claims."""

    def __init__(self, rabbit: RealRabbit, store: Store, folder: Path) -> None:
        self.rabbit = rabbit
        self.store = store
        self.door = ClaimDoor(store, rabbit)
        self._folder = folder
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._monitor: Monitor | None = None
        self._workers: list[WorkerProcess] = []

    def open(self) -> None:
        # What an earlier test left belongs to a database that is not this one's.
        self.rabbit.begin_anew()
        self.door.open()
        publisher = OutboxPublisher(
            celery_app(self.rabbit.connection("beat")),
            lambda: self.rabbit.connection("beat"),
            self.store,
            self._stopped,
        )
        publisher.start()
        self._threads.append(publisher)
        self.start_monitor()

    def start_monitor(self) -> None:
        self._monitor = Monitor(self.rabbit.connection("monitor"), self.store, self._stopped.wait)
        thread = threading.Thread(target=self._monitor.run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop_monitor(self) -> None:
        assert self._monitor
        self._monitor.should_stop = True
        ended(self._threads.pop())

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._stopped.set()
        if self._monitor:
            self._monitor.should_stop = True
        for thread in self._threads:
            ended(thread)
        self.door.shut()

    def worker(self, username: str = "creator-1") -> WorkerProcess:
        worker = WorkerProcess(self.rabbit, self.door, self._folder, username)
        self._workers.append(worker)
        worker.start()
        return worker

    def task(self, order_id: str) -> Task:
        """The order's image."""
        return self.store.tasks.of_order(order_id)[0]

    def queue(self) -> tuple[int, int]:
        """The creators' queue: messages that wait (not those that a worker holds), and consumers.

        (0, 0) proves nothing: it is also what RabbitMQ answers when a quorum queue doesn't tell it within
        a quarter of a second, or has no leader yet.
        """
        with self.rabbit.patient_connection() as connection, connection.channel() as channel:
            told = channel.queue_declare(names.CREATE_QUEUE, passive=True)
            return int(told.message_count), int(told.consumer_count)

    def hears(self, worker: str) -> bool:
        """Whether the worker's process has a connection by which it can be asked to stop something."""
        node = f"{worker}@{socket.gethostname()}"
        with self.rabbit.patient_connection() as connection:
            control = celery_app(connection).control
            return bool(control.ping(destination=[node], timeout=5, limit=1, connection=connection))


def ended(thread: threading.Thread) -> None:
    """Waits for the end of a thread that was told to; one that goes on would work in the next test."""
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), f"{thread.name} goes on"


def until(what: str, holds: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits until ``holds`` gives something true, and gives that."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        if answer := holds():
            return answer
        pause.wait(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")


def reaches(shop: Shop, order_id: str, state: TaskState, seconds: float = PATIENCE_SECONDS) -> Task:
    """The image's task when it is in ``state``."""

    def there() -> Task | None:
        task = shop.task(order_id)
        return task if task.state is state else None

    try:
        found: Task = until(f"the task is {state}", there, seconds)
    except AssertionError:
        raise AssertionError(f"the task is {shop.task(order_id)}, not {state}") from None
    return found


@contextmanager
def open_shop(rabbit: RealRabbit, store: Store, folder: Path) -> Iterator[Shop]:
    """A shop for one test."""
    shop = Shop(rabbit, store, folder)
    shop.open()
    try:
        yield shop
    finally:
        shop.close()


if __name__ == "__main__":
    sys.exit(main())
