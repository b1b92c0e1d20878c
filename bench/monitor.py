"""How fast events are folded, beside Flower, and how late: ``make bench-monitor``.

One broker (TLS) and one MongoDB, started here. A backlog of events (:mod:`bench.crowd`) is published once
and reaches both queues, ours and Flower's. Then each reads it with the machine to itself: Flower into its
memory, ``python -m monitor`` into MongoDB, acknowledged after the write. After that a crowd of writers sends
a progress each second, and a change stream tells when each one stands in the database.

Prints a table and writes ``var/bench/monitor.json``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
from kombu import Connection
from rich.console import Console
from rich.table import Table

from beat.topology import declare
from bench import crowd as crowds
from bench.crowd import Crowd
from cardshop import broker
from cardshop.stack.waiting import wait_for
from scheduler.store.database import connect
from scheduler.store.store import Store
from tests.real_services import SPEAKS_FOR_OTHERS, RealMongod, RealRabbit

RESULTS = Path("var/bench/monitor.json").absolute()
LONGEST_SECONDS = 600.0
LAG_LIMIT_SECONDS = 1.0
FLOWER_PORT = 15555
FLOWER_URL = f"http://127.0.0.1:{FLOWER_PORT}"

say = Console(stderr=True).print


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.monitor", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--events", type=int, default=200_000, help="events of the backlog")
    parser.add_argument("--writers", type=int, default=100, help="writers that the backlog is from")
    parser.add_argument("--live-writers", type=int, default=500, help="writers that send each second")
    parser.add_argument("--live-seconds", type=int, default=60, help="for how long")
    parser.add_argument("--monitors", type=int, default=1, help="processes of ours that share the queue")
    given = parser.parse_args()
    folder = RESULTS.parent / "monitor-services"
    shutil.rmtree(folder, ignore_errors=True)
    mongod, rabbit = RealMongod(folder / "mongod"), RealRabbit(folder / "rabbit")
    say("starting MongoDB and RabbitMQ")
    mongod.start()
    rabbit.start()
    try:
        rows = Bench(mongod, rabbit, folder, given).run()
    finally:
        rabbit.stop()
        mongod.stop()
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    _show(rows)
    return 0


class Bench:
    """The services, and what is measured with them."""

    def __init__(
        self, mongod: RealMongod, rabbit: RealRabbit, folder: Path, given: argparse.Namespace
    ) -> None:
        self._mongod, self._rabbit, self._folder, self._given = mongod, rabbit, folder, given
        self._store = Store(connect(mongod.uri))

    def run(self) -> list[dict[str, Any]]:
        """The rows of the table."""
        self._store.prepare()
        with self._connection("beat") as connection:
            declare(connection, [])
        events = self._given.events
        backlog = crowds.settle(
            self._store, self._given.writers, events // self._given.writers // crowds.EVENTS_OF_A_CARD + 1
        )
        with self._flower() as flower:
            flower.send_signal(signal.SIGSTOP)
            sent = self._publish_backlog(backlog, events)
            told = sum(count for event_type, count in sent.items() if event_type.startswith("task-"))
            say("Flower reads the backlog")
            began = time.monotonic()
            flower.send_signal(signal.SIGCONT)
            _until(lambda: _flower_count() >= told, pause=1.0)
            theirs = events / (time.monotonic() - began)
            _say_cpu("Flower", [flower], events)
        with self._monitors() as monitors:
            say("the monitor reads the backlog")
            began = time.monotonic()
            _until(lambda: self._folded() >= events, pause=0.2)
            ours = events / (time.monotonic() - began)
            _say_cpu("the monitor", monitors, events)
            self._check(backlog)
            lags = self._live()
        letters = self._store.dead_letters.waiting()
        if letters:
            raise SystemExit(
                f"{letters} messages became dead letters: {self._store.dead_letters.page()[0][0].why}"
            )
        return [
            {
                "work": f"backlog of {events} events, folded into MongoDB durably",
                "unit": "events/s",
                "ours": round(ours),
                "peer": f"Flower {importlib.metadata.version('flower')}, in its memory",
                "theirs": round(theirs),
                "ratio": round(theirs / ours, 3),
            },
            *self._lag_rows(lags),
        ]

    def _lag_rows(self, lags: list[float]) -> Iterator[dict[str, Any]]:
        given = self._given
        for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            lag = lags[min(len(lags) - 1, int(part * len(lags)))]
            yield {
                "work": f"{name} of the lag, {given.live_writers} writers, a progress a second each,"
                f" {given.live_seconds} s",
                "unit": "s",
                "ours": round(lag, 3),
                "peer": "the limit",
                "theirs": LAG_LIMIT_SECONDS,
                "ratio": round(lag / LAG_LIMIT_SECONDS, 3),
            }

    def _connection(self, username: str, *, confirm: bool = True) -> Connection:
        address = self._rabbit.address
        made = broker.connection(
            address.host, address.port, username, self._rabbit.password, self._rabbit.ca_file
        )
        if not confirm:
            made.transport_options = {}
        return made

    def _publish_backlog(self, crowd: Crowd, events: int) -> Counter[str]:
        say(f"publishing {events} events")
        with self._connection(SPEAKS_FOR_OTHERS, confirm=False) as connection:
            began = time.monotonic()
            sent = crowds.publish(connection, crowds.lives(crowd, events), time.time() - 1800, live=False)
        say(f"published in {time.monotonic() - began:.0f} s: {dict(sent)}")
        return sent

    def _check(self, crowd: Crowd) -> None:
        """The first card of each writer is written: what was counted was folded."""
        first = self._store.tasks.by_ids(tasks[0] for tasks in crowd.tasks.values())
        if {task.state.value for task in first.values()} != {"succeeded"}:
            raise SystemExit("The backlog was read, and its tasks have not succeeded.")

    def _folded(self) -> int:
        return sum(seen.reading.folded for seen in self._store.monitors.every())

    def _live(self) -> list[float]:
        """Seconds from each progress to its place in the database, sorted."""
        writers, seconds = self._given.live_writers, self._given.live_seconds
        crowd = crowds.settle(self._store, writers, 1, prefix="live")
        say(f"{writers} writers send a progress a second for {seconds} s")
        started_at = time.time() + 3
        publisher = multiprocessing.get_context("spawn").Process(
            target=_publish_live, args=(self._connection_values(), crowd, seconds, started_at)
        )
        with connect(self._mongod.uri)["tasks"].watch(
            [{"$match": {"operationType": "update"}}], max_await_time_ms=100
        ) as changes:
            publisher.start()
            lags = sorted(_lags(changes, crowd, started_at, seconds))
        publisher.join()
        if len(lags) < 0.99 * writers * seconds:
            say(f"{writers * seconds - len(lags)} of {writers * seconds} were overtaken by the next")
        return lags

    def _connection_values(self) -> tuple[str, int, str, str, Path]:
        address = self._rabbit.address
        return (address.host, address.port, SPEAKS_FOR_OTHERS, self._rabbit.password, self._rabbit.ca_file)

    def _environment(self, username: str) -> dict[str, str]:
        address = self._rabbit.address
        return {
            **os.environ,
            "CARDSHOP_MONGO_URI": self._mongod.uri,
            "CARDSHOP_BROKER_HOST": address.host,
            "CARDSHOP_BROKER_PORT": str(address.port),
            "CARDSHOP_USERNAME": username,
            "CARDSHOP_PASSWORD": self._rabbit.password,
            "CARDSHOP_CA_FILE": str(self._rabbit.ca_file),
            "FLOWER_UNAUTHENTICATED_API": "true",
        }

    @contextmanager
    def _flower(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["-m", "cardshop.flower", "--address=127.0.0.1", f"--port={FLOWER_PORT}"]
        with self._running("flower", "beat", *command) as process:
            wait_for("Flower", _flower_answers, 60)
            time.sleep(3)  # its queue is bound by another thread than the one that answers
            yield process

    @contextmanager
    def _monitors(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        with ExitStack() as running:
            yield [
                running.enter_context(self._running(f"monitor-{number}", "monitor", "-m", "monitor"))
                for number in range(1, self._given.monitors + 1)
            ]

    @contextmanager
    def _running(self, name: str, username: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command], env=self._environment(username), stdout=log, stderr=log
            )
            try:
                yield process
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(30)


def _publish_live(
    values: tuple[str, int, str, str, Path], crowd: Crowd, seconds: int, started_at: float
) -> None:
    events = (told for second in range(seconds) for told in crowds.progress_only(crowd, second))
    with broker.connection(*values) as connection:
        connection.transport_options = {}
        crowds.publish(connection, events, started_at, live=True)


def _lags(changes: Any, crowd: Crowd, started_at: float, seconds: int) -> Iterator[float]:
    """The lag of each progress that is seen; it ends with the last second's, or when none come any more."""
    step = 1 / len(crowd.tasks)
    planned = {tasks[0]: place * step for place, tasks in enumerate(crowd.tasks.values())}
    end = started_at + seconds + 30
    last = 0
    while last < len(planned) and time.time() < end:
        change = changes.try_next()
        if change is None or change["documentKey"]["_id"] not in planned:
            continue
        progress = change["updateDescription"]["updatedFields"].get("progress")
        if progress is None:
            continue
        second = crowds.second_of(progress)
        last += second == seconds - 1
        yield time.time() - (started_at + second + planned[change["documentKey"]["_id"]])


def _until(holds: Callable[[], bool], *, pause: float) -> None:
    end = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"The backlog was not read within {LONGEST_SECONDS:.0f} s.")
        time.sleep(pause)


def _say_cpu(who: str, processes: Sequence[subprocess.Popen[bytes]], events: int) -> None:
    """What it cost in CPU, which other work on the machine doesn't change much."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system, as in proc(5)
    seconds = ticks / os.sysconf("SC_CLK_TCK")
    say(f"{who}: {seconds:.1f} s of CPU, {seconds / events * 1e6:.0f} µs an event")


def _flower_answers() -> bool:
    try:
        return requests.get(f"{FLOWER_URL}/healthcheck", timeout=5).ok
    except requests.RequestException:
        return False


def _flower_count() -> int:
    """Events about tasks that Flower has taken in; its counters leave out those about workers."""
    text = requests.get(f"{FLOWER_URL}/metrics", timeout=60).text
    lines = (line for line in text.splitlines() if line.startswith("flower_events_total{"))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "work", "unit", "ours", "peer", "theirs", "ratio", title="monitor (a ratio below 1 is good)"
    )
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    Console().print(f"written: {RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
