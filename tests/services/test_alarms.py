"""Alarms over a real MongoDB: raised once, ended once, shown to whom they concern."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.domain.alarms import AlarmKind
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.store.store import Store
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import new_store


@pytest.fixture
def store(mongod: RealMongod) -> Store:
    return new_store(mongod.uri)


def raise_about(store: Store, worker: str) -> bool:
    return raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject=worker, sentence=f"{worker} is silent.")


def test_an_alarm_is_raised_once_even_by_several_at_the_same_moment(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        raised = list(pool.map(lambda _: raise_about(store, "writer-1"), range(8)))

    assert sorted(raised) == [False] * 7 + [True]
    assert store.alarms.page(open_only=True)[1] == 1


def test_an_alarm_that_has_ended_can_be_raised_again(store: Store) -> None:
    raise_about(store, "writer-1")

    assert end_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1")
    assert not end_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1")
    assert store.alarms.page(open_only=True) == ([], 0)
    assert raise_about(store, "writer-1")

    alarms, total = store.alarms.page(open_only=False)
    assert total == 2
    assert [alarm.ended_at is None for alarm in alarms] == [True, False]


def test_an_alarm_of_a_transaction_that_fails_was_never_raised(store: Store) -> None:
    def fail_at_the_end(session: object) -> None:
        raise_alarm(
            store, kind=AlarmKind.WORKER_SILENT, subject="writer-1", sentence="Silent.", session=session
        )
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.transaction(fail_at_the_end)

    assert store.alarms.page(open_only=False) == ([], 0)
    assert raise_about(store, "writer-1")


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.mark.parametrize("who", ["admin", "operator", "technician"])
def test_the_api_lists_open_alarms(api: Api, who: str) -> None:
    raise_about(api.store, "writer-1")
    raise_about(api.store, "writer-2")
    end_alarm(api.store, kind=AlarmKind.WORKER_SILENT, subject="writer-1")

    alarms = api.get("/v1/alarms?open=true", who=who)

    assert [(alarm["kind"], alarm["subject"], alarm["ended_at"]) for alarm in alarms["items"]] == [
        ("worker-silent", "writer-2", None)
    ]
    assert api.get("/v1/alarms", who=who)["total"] == 2


def test_alarms_are_not_a_client_s_business(api: Api) -> None:
    assert api.call("GET", "/v1/alarms", who="client").status == 403
