"""The manager's pages about events: dead letters and what is done with them, monitors, logs of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cardshop.contract.names import EVENT_QUEUE
from scheduler.shop import monitors, orders
from scheduler.shop.dead_letters import keep
from scheduler.store.dead_letters import NewLetter
from scheduler.store.monitors import Reading
from scheduler.store.task_logs import LogEntry
from tests.api import Api, new_api
from tests.manager_pages import Visitor, manager_of
from tests.real_services import RealMongod
from tests.shop import a_draft


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    with manager_of(api, tmp_path) as client:
        yield client


def a_letter(api: Api, body: str = "{<no json>") -> str:
    keep(api.store, [NewLetter(EVENT_QUEUE, "creator-1", "The message is no JSON.", body)])
    return api.store.dead_letters.page()[0][0].id


def logged(api: Api, *lines: str) -> str:
    """A task whose worker told these lines."""
    task = api.store.tasks.of_order(orders.place(api.store, a_draft()).id)[0]
    api.store.task_logs.add_all([LogEntry(task.id, (1, 1, 1), api.store.clock(), lines)])
    return task.id


def test_an_admin_sees_a_dead_letter_and_discards_it(api: Api, manager: FlaskClient) -> None:
    letter = a_letter(api)
    admin = Visitor(manager, "admin")

    page = admin.get("/dead-letters")
    assert "The message is no JSON. Waiting" in page.text
    assert page.root.one("pre").own_text == "{<no json>"
    page = admin.send(page, f"/dead-letters/{letter}/discard")

    assert "The message was discarded." in page.text
    assert "Every message was understood so far." in page.text
    assert "discarded by admin" in admin.get("/dead-letters?state=discarded").text


def test_a_replay_that_is_refused_again_says_why(api: Api, manager: FlaskClient) -> None:
    letter = a_letter(api)
    admin = Visitor(manager, "admin")

    page = admin.send(admin.get("/dead-letters"), f"/dead-letters/{letter}/replay")

    assert "It is refused again: The message is no JSON. Discard it." in page.text
    assert page.root.one("form", action=f"/dead-letters/{letter}/replay")


def test_the_page_tells_how_the_monitors_keep_up(api: Api, manager: FlaskClient) -> None:
    admin = Visitor(manager, "admin")
    assert "No monitor runs" in admin.get("/dead-letters").text

    monitors.note(api.store, Reading("desk:1", api.store.clock(), 1234, 56.7, 0.2, 0.4, 7))

    assert "desk:1 Online 56.7 0.2 s 0.4 s 7 1234" in " ".join(
        cell.text for cell in admin.get("/dead-letters").root.all("td")
    )


@pytest.mark.parametrize("who", ["operator", "client"])
def test_others_see_no_dead_letters(manager: FlaskClient, who: str) -> None:
    visitor = Visitor(manager, who)

    assert "/dead-letters" not in visitor.get("/").html
    assert visitor.get("/dead-letters").status == 403


def test_a_log_s_page_finds_a_text_and_says_what_was_dropped(api: Api, manager: FlaskClient) -> None:
    task = logged(api, "fetching faq.zim", "building <the image>")
    api.store.task_logs.add_all([LogEntry(task, (1, 1, 0), api.store.clock(), ["x" * 1023] * 2000)])
    operator = Visitor(manager, "operator")

    page = operator.get(f"/tasks/{task}/log?text=FAQ")

    assert [line.own_text.strip() for line in page.root.one("ol").all("li")] == ["fetching faq.zim"]
    assert "oldest lines were dropped" in operator.get(f"/tasks/{task}/log").text
    assert "No line of this log has this text." in operator.get(f"/tasks/{task}/log?text=nothing").text


def test_words_are_searched_in_all_logs(api: Api, manager: FlaskClient) -> None:
    task = logged(api, "the mirror refused", "building")
    operator = Visitor(manager, "operator")

    found = operator.get("/logs?text=mirror+refused")

    assert [line.text for line in found.root.one("ol").all("li")] == ["the mirror refused"]
    assert f"/tasks/{task}/log?text=mirror+refused" in found.html
    assert "No task told this" in operator.get("/logs?text=nowhere").text
