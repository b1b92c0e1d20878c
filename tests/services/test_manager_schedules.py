"""The manager's pages about schedules: shown, made, changed, run and turned off by who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from beat.jobs import default_schedules
from tests.api import Api, new_api
from tests.manager_pages import Visitor, manager_of
from tests.real_services import RealMongod

NIGHTLY = {
    "name": "tidy",
    "kind": "clean-logs",
    "days": "30",
    "when": "crontab",
    "crontab": "0 3 * * *",
    "timezone": "Europe/Paris",
    "missed": "skip",
    "enabled": "yes",
}


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    made = new_api(mongod.uri)
    for schedule in default_schedules(made.store.clock()):
        made.store.schedules.ensure(schedule)
    return made


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    with manager_of(api, tmp_path) as client:
        yield client


def test_an_admin_makes_a_schedule_and_sees_it_in_words(api: Api, manager: FlaskClient) -> None:
    admin = Visitor(manager, "admin")

    page = admin.send(admin.get("/schedules/new"), "/schedules/new", **NIGHTLY)

    assert "at 03:00 every day (Europe/Paris)" in page.text
    (made,) = [each for each in api.store.schedules.every() if each.name == "tidy"]
    assert (made.work.days, made.missed, made.owner) == (30, "skip", "admin")


def test_a_wrong_crontab_is_told_beside_its_entry_and_nothing_that_was_typed_is_lost(
    api: Api, manager: FlaskClient
) -> None:
    admin = Visitor(manager, "admin")

    wrong = {**NIGHTLY, "crontab": "0 25 * * *"}
    page = admin.send(admin.get("/schedules/new"), "/schedules/new", **wrong)

    assert "hour is wrong" in page.root.one("p", id="crontab-wrong").text
    assert page.root.one("input", id="name").attributes["value"] == "tidy"
    assert page.root.one("input", id="crontab").attributes["value"] == "0 25 * * *"


def test_a_schedule_is_run_turned_off_and_on_and_deleted(api: Api, manager: FlaskClient) -> None:
    admin = Visitor(manager, "admin")
    listed = admin.send(admin.get("/schedules/new"), "/schedules/new", **NIGHTLY)
    (made,) = [each for each in api.store.schedules.every() if each.name == "tidy"]

    listed = admin.send(listed, f"/schedules/{made.id}/run")
    due = api.store.schedules.get(made.id).next_run
    assert due is not None
    assert due <= api.store.clock()
    listed = admin.send(listed, f"/schedules/{made.id}/off")
    assert not api.store.schedules.get(made.id).enabled
    admin.send(listed, f"/schedules/{made.id}/on")
    assert api.store.schedules.get(made.id).enabled
    admin.send(admin.get(f"/schedules/{made.id}"), f"/schedules/{made.id}/delete")
    assert made.id not in {each.id for each in api.store.schedules.every()}


def test_a_built_in_schedule_keeps_its_kind_and_takes_another_time(api: Api, manager: FlaskClient) -> None:
    admin = Visitor(manager, "admin")
    form = admin.get("/schedules/rotate-keys")
    assert form.root.one("input", id="crontab").attributes["value"] == "40 3 1 * *"

    admin.send(
        form,
        "/schedules/rotate-keys",
        name="keys",
        when="every",
        every_seconds="86400",
        missed="catch-up",
        enabled="yes",
    )

    changed = api.store.schedules.get("rotate-keys")
    assert (changed.name, changed.timing.every_seconds, changed.timing.crontab) == ("keys", 86400, "")


def test_an_operator_sees_all_and_may_schedule_orders_only(api: Api, manager: FlaskClient) -> None:
    operator = Visitor(manager, "operator")

    page = operator.get("/schedules")
    assert "sign with a new key" in page.text
    assert "Turn off" not in page.text
    form = operator.get("/schedules/new")
    assert [option.text for option in form.root.one("select", id="kind").all("option")] == ["Order a recipe"]
