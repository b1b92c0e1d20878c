"""Flower, the Celery monitor that people run, on the real broker: our events are Celery's own kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from cardshop.stack.ports import LOOPBACK, kept_ports
from tests.customers import PATIENCE_SECONDS, Customer
from tests.real_stack import RealStack
from tests.workers import until

NAME, PASSWORD = "ada", "looks at flowers"


class Flower:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{LOOPBACK}:{port}"

    def answers(self) -> bool:
        try:
            return requests.get(f"{self._url}/healthcheck", timeout=20).ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self._url}/api/{path}", auth=(NAME, PASSWORD), timeout=120)
        answer.raise_for_status()
        return answer.json()

    def refuses_strangers(self) -> bool:
        return requests.get(f"{self._url}/api/workers", timeout=120).status_code == 401


@contextmanager
def flower(stack: RealStack, username: str, folder: Path) -> Iterator[Flower]:
    """Flower as ``username`` of the broker."""
    address = stack.stack.services.rabbit.address
    port = kept_ports(folder / "ports.json", ["flower"])["flower"]
    environment = {
        "CARDSHOP_BROKER_HOST": address.host,
        "CARDSHOP_BROKER_PORT": str(address.port),
        "CARDSHOP_USERNAME": username,
        "CARDSHOP_PASSWORD": stack.password(username),
        "CARDSHOP_CA_FILE": str(stack.ca_file),
    }
    options = [f"--address={LOOPBACK}", f"--port={port}", f"--basic_auth={NAME}:{PASSWORD}"]
    with (folder / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cardshop.flower", *options],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
        try:
            running = Flower(port)
            until("Flower answers", running.answers, PATIENCE_SECONDS)
            yield running
        finally:
            process.terminate()
            process.wait(120)


def creator_of(shown: Flower) -> dict[str, Any] | None:
    """What the creator told Flower when it was asked."""
    try:
        workers = shown.get("workers?refresh=1").items()
    except requests.HTTPError:  # nobody answered it in time
        return None
    asked = (worker for name, worker in workers if name.startswith("creator-1@"))
    return next((worker for worker in asked if {"active_queues", "registered"} <= worker.keys()), None)


def test_flower_shows_the_workers_and_their_tasks(stack: RealStack, tmp_path: Path) -> None:
    with flower(stack, "admin", tmp_path) as shown:
        until("Flower hears the workers", lambda: len(shown.get("workers?status=1")) >= 3, PATIENCE_SECONDS)
        customer = Customer(stack, megabytes=5)
        order = customer.wait_state(customer.place(cards=1), "written")
        tasks = {task["id"]: task for task in order["tasks"]}
        until(
            "Flower knows how the tasks ended",
            lambda: all(shown.get("tasks").get(task_id, {}).get("state") == "SUCCESS" for task_id in tasks),
            PATIENCE_SECONDS,
        )

        told = shown.get("tasks")
        # Flower asks a worker and waits a second for its answer, then shows it without.
        creator = until("the creator tells of itself", lambda: creator_of(shown), PATIENCE_SECONDS)

        assert {told[task_id]["name"] for task_id in tasks} == {"cardshop.create", "cardshop.write"}
        for task_id, task in tasks.items():
            assert told[task_id]["worker"].partition("@")[0] == task["worker"]
        assert [queue["name"] for queue in creator["active_queues"]] == ["create"]
        assert "cardshop.create" in creator["registered"]
        assert shown.refuses_strangers()


def test_flower_hears_nothing_with_an_operator_s_account(stack: RealStack, tmp_path: Path) -> None:
    with flower(stack, "operator", tmp_path) as shown:
        until(
            "the broker refuses the operator",
            lambda: "ACCESS_REFUSED" in (tmp_path / "flower.log").read_text(),
            PATIENCE_SECONDS,
        )
        assert shown.get("tasks") == {}


@pytest.mark.parametrize("missing", ["CARDSHOP_CA_FILE", "CARDSHOP_PASSWORD"])
def test_a_setting_that_is_missing_is_named(missing: str) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("CARDSHOP_")}

    ended = subprocess.run(
        [sys.executable, "-m", "cardshop.flower"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 65
    assert f"{missing} is missing" in ended.stderr
