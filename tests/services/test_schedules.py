"""Schedules over the API: made, shown, changed, removed; what is wrong is told with its field."""

from __future__ import annotations

from typing import Any

import pytest

from beat.jobs import default_schedules, jobs
from scheduler.domain.schedules import JobKind
from scheduler.shop import schedules as shop
from scheduler.shop.schedules import ScheduleDraft
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.schedules import HOURLY, add, tools
from tests.shop import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(mongod: RealMongod, clock: Clock) -> Api:
    return new_api(mongod.uri, clock=clock)


def test_a_schedule_is_made_shown_changed_and_removed(api: Api) -> None:
    made = api.post("/v1/schedules", HOURLY)

    assert (made["enabled"], made["missed"], made["owner"]) == (True, "catch-up", "admin")
    assert made["in_words"] == "at the start of every hour (Europe/Paris)"
    assert len(made["upcoming"]) == 3
    path = f"/v1/schedules/{made['id']}"
    changed = api.call("PUT", path, {**HOURLY, "enabled": False}).body
    assert (changed["enabled"], changed["next_run"], changed["upcoming"]) == (False, None, [])
    assert [each["name"] for each in api.get("/v1/schedules")["items"]] == ["logs"]
    assert api.call("DELETE", path).status == 204
    assert api.call("GET", path).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"crontab": "0 25 * * *"}, "crontab"),
        ({"crontab": ""}, "crontab"),
        ({"every_seconds": 60}, "every_seconds"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"crontab": "", "at": "2020-01-01T00:00:00Z"}, "at"),
        ({"crontab": "", "at": "2020-01-01T00:00:00"}, "at"),
        ({"kind": "make-coffee"}, "kind"),
        ({"days": 0}, "days"),
        ({"days": "30"}, "days"),
        ({"missed": "maybe"}, "missed"),
        ({"name": ""}, "name"),
        ({"color": "red"}, "color"),
        ({"kind": "refresh-catalogues", "days": 0, "catalogue": "none"}, "catalogue"),
        (
            {
                "kind": "order-recipe",
                "days": 0,
                "order": {"recipe_id": "none", "quantity": 1, "recipient": {"name": "School"}},
            },
            "order.recipe_id",
        ),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told_with_its_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    answer = api.call("POST", "/v1/schedules", {**HOURLY, **change})

    assert answer.status in (404, 422)
    assert answer.body["field"] == field


def test_two_schedules_have_two_names(api: Api) -> None:
    api.post("/v1/schedules", HOURLY)
    other = api.post("/v1/schedules", {**HOURLY, "name": "other"})

    assert api.call("POST", "/v1/schedules", HOURLY).body["field"] == "name"
    assert api.call("PUT", f"/v1/schedules/{other['id']}", HOURLY).status == 409


def test_an_operator_schedules_orders_only_and_a_client_nothing(api: Api) -> None:
    made = api.post("/v1/schedules", HOURLY)

    assert api.call("POST", "/v1/schedules", HOURLY, who="operator").status == 403
    assert api.call("DELETE", f"/v1/schedules/{made['id']}", who="operator").status == 403
    assert api.call("POST", f"/v1/schedules/{made['id']}/runs", who="operator").status == 403
    assert api.get("/v1/schedules", who="operator")["total"] == 1
    assert api.call("GET", "/v1/schedules", who="client").status == 403


def test_a_built_in_schedule_can_be_changed_but_not_removed_and_is_made_once(api: Api, clock: Clock) -> None:
    for _ in range(2):
        for schedule in default_schedules(clock()):
            api.store.schedules.ensure(schedule)

    built_in = api.get("/v1/schedules/rotate-keys")
    assert built_in["built_in"]
    assert api.call("DELETE", "/v1/schedules/rotate-keys").status == 409
    body = {"name": "keys", "kind": "rotate-keys", "crontab": "0 5 * * SUN"}
    assert api.call("PUT", "/v1/schedules/rotate-keys", body).body["crontab"] == "0 5 * * SUN"
    assert api.call("PUT", "/v1/schedules/rotate-keys", {**HOURLY}).body["field"] == "kind"
    api.store.schedules.ensure(next(each for each in default_schedules(clock()) if each.id == "rotate-keys"))
    assert api.get("/v1/schedules/rotate-keys")["name"] == "keys"


def test_a_built_in_schedule_whose_name_a_person_took_is_made_under_another(api: Api, clock: Clock) -> None:
    built_in = next(each for each in default_schedules(clock()) if each.id == "rotate-keys")
    taken = add(api, name=built_in.name)

    for _ in range(2):
        api.store.schedules.ensure(built_in)

    assert api.store.schedules.get("rotate-keys").name == "sign with a new key (rotate-keys)"
    assert api.store.schedules.get(taken.id).name == "sign with a new key"


def test_each_kind_has_a_job_and_each_built_in_schedule_is_valid(api: Api, clock: Clock) -> None:
    assert set(jobs(tools(api))) == set(JobKind)
    for schedule in default_schedules(clock()):
        made = ScheduleDraft(schedule.name, schedule.work, schedule.timing)
        shop.add(api.store, made, schedule_id=schedule.id, owner="beat")
