"""The command ``cardshop`` against the real API over HTTPS."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cardshop.command.__main__ import main
from cardshop.command.session import Session
from cardshop.contract.events import EventType, Log
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.shop import orders
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.shop.dispatching import dispatch
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.store import Store
from tests.api import PASSWORD, Api, a_recipe, new_api, published_library, read_catalogue
from tests.real_services import RealMongod
from tests.served_api import ServedApi, served
from tests.shop import a_draft, told


@dataclass
class Desk:
    """A person at the command line; logged in as the operator."""

    store: Store
    api: Api
    shop: ServedApi
    session: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, status: int = 0) -> str:
        """What the command prints; it must end with ``status``. On an error, what it says of that."""
        self.capsys.readouterr()  # what the test's own doings left
        ended = main(["--session", str(self.session), *words])
        printed = self.capsys.readouterr()
        assert ended == status, printed
        return printed.err if status else printed.out

    def told(self, *words: str) -> Any:
        """What scripts get."""
        return json.loads(self.run(*words, "--json"))

    def log_in(self, username: str) -> str:
        secret = self.session.with_name("password")
        secret.write_text(PASSWORD + "\n")
        return self.run(
            "login",
            *("--url", self.shop.url, "--ca-file", str(self.shop.ca_file)),
            *("--username", username, "--password-file", str(secret)),
        )

    def order(self, **values: Any) -> str:
        """Number of a new order."""
        return str(orders.place(self.store, a_draft(**values)).number)


@pytest.fixture
def desk(mongod: RealMongod, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    api = new_api(mongod.uri)
    with served(api, tmp_path / "tls") as shop:
        desk = Desk(api.store, api, shop, tmp_path / "home" / "session.json", capsys)
        desk.session.parent.mkdir()
        desk.log_in("operator")
        yield desk


def test_the_session_is_kept_where_only_its_owner_can_read_it(desk: Desk) -> None:
    assert stat.S_IMODE(desk.session.stat().st_mode) == 0o600
    assert PASSWORD not in desk.session.read_text()


def test_without_a_session_it_says_how_to_log_in(desk: Desk) -> None:
    desk.run("logout")

    assert "cardshop login" in desk.run("orders", "list", status=77)
    assert not desk.session.exists()


def test_a_log_out_ends_the_session_at_the_scheduler_too(desk: Desk) -> None:
    kept = desk.session.read_text()
    desk.run("logout")

    desk.session.write_text(json.dumps({**json.loads(kept), "renew_at": 0.0}))

    assert "session has ended" in desk.run("orders", "list", status=77)


def test_a_wrong_password_begins_no_session(desk: Desk) -> None:
    wrong = desk.session.with_name("wrong")
    wrong.write_text("not it")

    desk.run(
        "login",
        *("--url", desk.shop.url, "--ca-file", str(desk.shop.ca_file)),
        *("--username", "admin", "--password-file", str(wrong)),
        status=77,
    )

    assert json.loads(desk.session.read_text())["username"] == "operator"


def test_a_shop_that_is_not_trusted_or_not_there_is_not_talked_to(desk: Desk) -> None:
    secret = str(desk.session.with_name("password"))

    untrusted = desk.run(
        "login", "--url", desk.shop.url, "--username", "operator", "--password-file", secret, status=69
    )
    away = desk.run(
        "login", "--url", "https://127.0.0.1:9", "--username", "x", "--password-file", secret, status=69
    )

    assert "--ca-file" in untrusted
    assert "does not answer" in away


def test_used_up_tokens_are_renewed_even_by_several_commands_at_once(desk: Desk) -> None:
    kept = json.loads(desk.session.read_text())
    desk.session.write_text(json.dumps({**kept, "renew_at": 0.0}))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: Session(desk.session).get("/v1/me"), range(6)))

    assert {answer["username"] for answer in answers} == {"operator"}
    assert json.loads(desk.session.read_text())["refresh_token"] != kept["refresh_token"]
    desk.run("orders", "list")


def test_orders_are_listed_and_shown(desk: Desk) -> None:
    number = desk.order(quantity=2)

    listing = desk.run("orders", "list")
    shown = desk.run("orders", "show", number)

    assert listing.splitlines()[1].split()[:3] == [number, "accepted", "0/2"]
    assert "0 of 2 verified" in shown
    assert [task["unit"] for task in desk.told("orders", "show", f"#{number}")["tasks"]] == [0, 1, 2]
    assert desk.told("orders", "list", "--state", "written") == []
    assert len(desk.told("orders", "list", "--limit", "1")) == 1


@pytest.mark.parametrize("intent", ["cancel", "requeue", "hold", "release"])
def test_what_changes_an_order_is_safe_to_ask_twice(desk: Desk, intent: str) -> None:
    number = desk.order()

    first = desk.told("orders", intent, number, "--why", "for a reason")
    again = desk.told("orders", intent, number, "--why", "for a reason")

    assert again["state"] == first["state"]
    assert again["history"] == first["history"]
    assert [task["attempt"] for task in again["tasks"]] == [task["attempt"] for task in first["tasks"]]


def test_a_priority_is_changed_and_shown(desk: Desk) -> None:
    number = desk.order()

    desk.run("orders", "priority", number, "urgent")

    assert "urgent" in desk.run("orders", "show", number)


def test_what_the_order_does_not_allow_is_said_with_its_own_exit_status(desk: Desk) -> None:
    number = desk.order()

    assert "Nothing of this order has failed." in desk.run("orders", "retry", number, status=75)
    assert "There is no order 4711." in desk.run("orders", "show", "4711", status=66)
    problem = json.loads(desk.run("orders", "retry", number, "--json", status=75))
    assert problem["code"] == "conflict"


def test_a_client_may_not_put_others_work_in_the_queue_anew(desk: Desk) -> None:
    number = desk.order(owner="client")
    desk.log_in("client")

    assert "right" in desk.run("orders", "requeue", number, status=77)


def test_an_order_is_placed_once_with_a_key_of_its_own(desk: Desk, tmp_path: Path) -> None:
    with published_library(tmp_path / "library") as library:
        idents = read_catalogue(desk.api, library.feed_url)
        desk.api.post("/v1/recipes", a_recipe(idents[:1], name="Hello", size="8 GB"), who="operator")
        words = ["orders", "place", "--recipe", "Hello", "--quantity", "2", "--recipient", "School"]

        first = desk.told(*words, "--key", "monday")
        again = desk.told(*words, "--key", "monday")
        other = desk.told(*words)

    assert first["id"] == again["id"] != other["id"]
    assert first["quantity"] == 2


def test_a_wrong_order_is_told_with_its_field(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "recipe.json"
    broken.write_text("{")
    words = ["orders", "place", "--quantity", "1", "--recipient", "School"]

    assert "no recipe Hello" in desk.run(*words, "--recipe", "Hello", status=66)
    assert "--recipe-file: It is no JSON" in desk.run(*words, "--recipe-file", str(broken), status=65)


def test_workers_are_listed_with_their_state(desk: Desk) -> None:
    desk.store.workers.seen("writer-1", Role.WRITER, "writer-1@desk", online=True)

    assert desk.run("workers", "list").splitlines()[1].split()[:3] == ["writer-1", "writer", "online"]


def test_a_worker_is_drained_and_resumed_and_both_may_be_asked_twice(desk: Desk) -> None:
    desk.log_in("technician")
    desk.store.workers.seen("writer", Role.WRITER, "writer@desk", online=True)

    for _ in range(2):
        assert len(desk.told("workers", "drain", "writer", "--why", "new reader")["items"]) == 1
    assert "online, drained" in desk.run("workers", "list")
    for _ in range(2):
        desk.run("workers", "resume", "writer")
    assert "drained" not in desk.run("workers", "list")


def test_a_tasks_log_is_found_by_order_and_card(desk: Desk) -> None:
    number = desk.order()
    image = desk.store.tasks.in_states([TaskState.PENDING, TaskState.QUEUED])[0]
    desk.store.workers.seen("creator", Role.CREATOR, "creator@desk", online=True)
    dispatch(desk.store)
    held = claim(desk.store, image.id, 1, worker="creator", role=Role.CREATOR).task
    fold_event(desk.store, told(held, EventType.TASK_LOG, body=Log(("fetching faq.zim",))), sender="creator")

    assert "attempt 1  fetching faq.zim" in desk.run("tasks", "logs", f"{number}/0")
    assert desk.told("tasks", "logs", image.id)["items"][0]["lines"] == ["fetching faq.zim"]
    assert "no card 9" in desk.run("tasks", "logs", f"{number}/9", status=66)


def test_open_alarms_are_listed_and_ended_ones_on_request(desk: Desk) -> None:
    for name in ("writer-1", "writer-2"):
        raise_alarm(desk.store, kind=AlarmKind.WORKER_SILENT, subject=name, sentence=f"{name} is silent.")
    end_alarm(desk.store, kind=AlarmKind.WORKER_SILENT, subject="writer-1")

    assert [alarm["subject"] for alarm in desk.told("alarms")] == ["writer-2"]
    assert len(desk.told("alarms", "--all")) == 2


def test_it_is_a_program_that_explains_itself() -> None:
    program = Path(sys.executable).with_name("cardshop")
    helped = subprocess.run(
        [program, "--help"], capture_output=True, text=True, check=True, env={**os.environ}
    )

    for command in ("login", "logout", "orders", "workers", "tasks", "alarms"):
        assert command in helped.stdout
