"""Enrolment: a code is good once, for one host, and gives accounts whose passwords no answer holds."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.enrolments import CODE_LIFE
from scheduler.store.database import utc_now
from tests.api import Answer, Api, new_api
from tests.real_services import RealMongod


class Clock:
    """The present, which a test moves."""

    def __init__(self) -> None:
        self.moment = utc_now()

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(mongod: RealMongod, clock: Clock) -> Api:
    return new_api(mongod.uri, clock=clock)


def give_code(api: Api, host: str = "rack-1", writers: int = 2, who: str = "technician") -> str:
    return str(api.post("/v1/enrolments", {"host": host, "writers": writers}, who=who)["code"])


def redeem(api: Api, code: str, *slots: str) -> tuple[Answer, dict[str, str]]:
    passwords = {slot: secrets.token_urlsafe(32) for slot in slots}
    writers = [{"slot": slot, "password": password} for slot, password in passwords.items()]
    answer = api.call("POST", "/v1/enrolments/redemptions", {"code": code, "writers": writers}, who=None)
    return answer, passwords


def may_log_in(api: Api, username: str, password: str) -> bool:
    answer = api.call("POST", "/v1/tokens", {"username": username, "password": password}, who=None)
    return answer.status == 200


def test_a_code_gives_each_slot_s_writer_an_account_with_the_host_s_own_password(api: Api) -> None:
    answer, passwords = redeem(api, give_code(api), "A", "B")

    assert answer.status == 201
    assert answer.body == {
        "accounts": [{"slot": "A", "username": "rack-1-a"}, {"slot": "B", "username": "rack-1-b"}]
    }
    for slot, name in (("A", "rack-1-a"), ("B", "rack-1-b")):
        assert may_log_in(api, name, passwords[slot])
        assert api.get(f"/v1/users/{name}")["role"] == "writer"
    assert not any(password in json.dumps(answer.body) for password in passwords.values())


def test_a_code_is_good_however_it_is_typed_and_only_once(api: Api) -> None:
    code = give_code(api)

    first, passwords = redeem(api, f" {code.lower().replace('-', ' ')} ", "A")
    second, others = redeem(api, code, "A")

    assert (first.status, second.status) == (201, 401)
    assert may_log_in(api, "rack-1-a", passwords["A"])
    assert not may_log_in(api, "rack-1-a", others["A"])


def test_of_two_hosts_that_type_one_code_at_once_one_gets_it(api: Api) -> None:
    code = give_code(api)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: redeem(api, code, "A"), range(2)))

    assert sorted(answer.status for answer, _ in answers) == [201, 401]
    for answer, passwords in answers:
        assert may_log_in(api, "rack-1-a", passwords["A"]) == (answer.status == 201)


def test_a_code_ends_after_an_hour(api: Api, clock: Clock) -> None:
    code = give_code(api)
    clock.moment += CODE_LIFE - timedelta(seconds=1)
    [before] = api.get("/v1/enrolments", who="technician")["items"]

    clock.moment += timedelta(seconds=2)
    answer, _ = redeem(api, code, "A")

    assert before["state"] == "open"
    assert answer.status == 401
    assert "an hour" in answer.body["hint"]


def test_an_unknown_code_is_answered_as_a_used_one(api: Api) -> None:
    code = give_code(api)
    redeem(api, code, "A")

    used, unknown = redeem(api, code, "A")[0], redeem(api, "2222-2222-2222-2222", "A")[0]

    assert used.status == unknown.status == 401
    assert used.body["detail"] == unknown.body["detail"]


@pytest.mark.parametrize("slots", [("A", "B", "C"), ("A", "a"), ("the left one",)])
def test_a_wrong_request_leaves_the_code_good(api: Api, slots: tuple[str, ...]) -> None:
    code = give_code(api)

    refused, _ = redeem(api, code, *slots)
    answer, _ = redeem(api, code, "A")

    assert refused.status == 422
    assert answer.status == 201


def test_a_weak_password_is_refused(api: Api) -> None:
    body = {"code": give_code(api), "writers": [{"slot": "A", "password": "rack-1"}]}

    assert api.call("POST", "/v1/enrolments/redemptions", body, who=None).status == 422


def test_a_host_that_is_set_up_again_takes_its_own_accounts_again(api: Api) -> None:
    _, old = redeem(api, give_code(api), "A")
    session = api.post("/v1/tokens", {"username": "rack-1-a", "password": old["A"]}, who=None)

    answer, new = redeem(api, give_code(api), "A", "B")

    assert answer.status == 201
    assert may_log_in(api, "rack-1-a", new["A"])
    assert not may_log_in(api, "rack-1-a", old["A"])
    refresh = {"refresh_token": session["refresh_token"]}
    assert api.call("POST", "/v1/tokens/refresh", refresh, who=None).status == 401


@pytest.mark.parametrize("role", ["writer", "operator"])
def test_an_account_that_was_not_enrolled_with_the_host_can_t_be_taken(api: Api, role: str) -> None:
    password = secrets.token_urlsafe(32)
    api.post("/v1/users", {"username": "rack-1-a", "password": password, "role": role})

    answer, _ = redeem(api, give_code(api), "B", "A")

    assert answer.status == 409
    assert may_log_in(api, "rack-1-a", password)
    assert api.call("GET", "/v1/users/rack-1-b").status == 404


def test_a_locked_account_stays_locked(api: Api) -> None:
    redeem(api, give_code(api), "A")
    api.call("PATCH", "/v1/users/rack-1-a", {"disabled": True})

    answer, _ = redeem(api, give_code(api), "A")

    assert answer.status == 409
    assert "locked" in answer.body["detail"]


def test_codes_are_given_to_admins_and_technicians_and_listed_without_the_code(
    api: Api, clock: Clock
) -> None:
    codes = []
    for who in ("admin", "technician"):
        codes.append(give_code(api, who=who))
        clock.moment += timedelta(seconds=1)
    refused = [
        api.call("POST", "/v1/enrolments", {"host": "rack-1", "writers": 1}, who=who).status
        for who in ("operator", "client", "writer", "creator")
    ]

    listed: dict[str, Any] = api.get("/v1/enrolments", who="technician")

    assert refused == [403, 403, 403, 403]
    assert [each["made_by"] for each in listed["items"]] == ["technician", "admin"]
    assert not any(code in json.dumps(listed) for code in codes)


def test_the_database_holds_no_code(api: Api) -> None:
    code = give_code(api)

    [enrolment], _ = api.store.enrolments.page()

    assert code not in str(enrolment)
    assert api.store.enrolments.find(code) is None


def test_a_trial_token_is_good_at_the_warehouse_s_door_and_for_no_image(api: Api) -> None:
    access = api.post("/v1/trial-tokens", who="writer")

    right = api.post("/auth/warehouse", {"token": access["token"]}, who="warehouse")

    assert (access["host"], access["port"]) == ("warehouse.test", 2121)
    assert (right["operation"], right["digest"]) == ("download", "0" * 64)
    assert api.call("POST", "/v1/trial-tokens", who="operator").status == 403
