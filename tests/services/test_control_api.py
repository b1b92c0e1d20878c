"""Hold, release and priority through the API: who may ask, and what is answered each time."""

from __future__ import annotations

import pytest

from scheduler.shop import orders
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import a_draft


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.fixture
def order_id(api: Api) -> str:
    return orders.place(api.store, a_draft(owner="client")).id


@pytest.mark.parametrize("intent", ["hold", "release", "priority"])
@pytest.mark.parametrize(("who", "status"), [("client", 403), ("technician", 403), ("operator", 200)])
def test_operators_decide_on_the_queue(api: Api, order_id: str, intent: str, who: str, status: int) -> None:
    body = {"why": "a fair"} | ({"priority": "high"} if intent == "priority" else {})

    assert api.call("POST", f"/v1/orders/{order_id}/{intent}", body, who=who).status == status


def test_an_order_tells_its_hold_and_its_priority(api: Api, order_id: str) -> None:
    path = f"/v1/orders/{order_id}"
    first = api.post(f"{path}/hold", {"why": "no cards"}, who="operator")
    second = api.post(f"{path}/hold", {"why": "asked again"}, who="admin")
    api.post(f"{path}/priority", {"priority": "urgent"}, who="operator")

    assert first["hold"]["who"] == "operator"
    assert second == first
    told = api.get(path, who="client")
    assert (told["hold"]["why"], told["priority"]) == ("no cards", "urgent")
    assert api.post(f"{path}/release", who="operator")["hold"] is None


def test_a_priority_that_nobody_knows_names_its_field(api: Api, order_id: str) -> None:
    answer = api.call("POST", f"/v1/orders/{order_id}/priority", {"priority": "now"}, who="operator")

    assert (answer.status, answer.body["field"]) == (422, "priority")


def test_an_order_that_is_not_there_can_not_be_held(api: Api) -> None:
    assert api.call("POST", "/v1/orders/none/hold", {}, who="operator").status == 404
