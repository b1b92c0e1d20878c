"""Logs of tasks in a real MongoDB: kept once, limited in size, found by task and by text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.shop import orders
from scheduler.store.store import Store
from scheduler.store.task_logs import BYTES_AFTER_DROPPING, MOST_BYTES, LogEntry
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import a_draft, new_store

LINE = "x" * 1023  # a kibibyte with its end
PER_ENTRY = 16


@pytest.fixture
def store(mongod: RealMongod) -> Store:
    return new_store(mongod.uri)


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


def entry(store: Store, task_id: str, seq: int, *lines: str, attempt: int = 1) -> LogEntry:
    return LogEntry(task_id, (attempt, 1, seq), store.clock(), lines)


def many(store: Store, task_id: str, first: int, count: int) -> list[LogEntry]:
    return [
        entry(store, task_id, seq, *[f"{seq}".ljust(1023)] * PER_ENTRY) for seq in range(first, first + count)
    ]


def kept(store: Store, task_id: str) -> tuple[int, list[int]]:
    """Bytes, and the numbers of the entries."""
    parts = store.task_logs.of_task(task_id)
    size = sum(len(line) + 1 for part in parts for line in part.lines)
    return size, [int(part.lines[0]) for part in parts]


def test_a_log_below_the_limit_is_kept_whole_and_once(store: Store) -> None:
    entries = many(store, "task", 1, 20)

    store.task_logs.add_all(entries)
    store.task_logs.add_all(entries)

    assert kept(store, "task")[1] == list(range(1, 21))
    assert store.task_logs.dropped("task") == 0


def test_above_the_limit_the_oldest_lines_make_room_and_are_counted(store: Store) -> None:
    count = MOST_BYTES // 1024 // PER_ENTRY + 10
    store.task_logs.add_all(many(store, "other", 1, 5))

    for first in range(1, count, 10):
        store.task_logs.add_all(many(store, "task", first, 10))

    size, numbers = kept(store, "task")
    assert BYTES_AFTER_DROPPING * 0.95 < size <= MOST_BYTES
    last = numbers[-1]
    assert numbers == list(range(last - len(numbers) + 1, last + 1))
    assert store.task_logs.dropped("task") == (last - len(numbers)) * PER_ENTRY > 0
    assert kept(store, "other")[1] == [1, 2, 3, 4, 5]


def test_monitors_that_drop_at_the_same_time_drop_and_count_once(store: Store) -> None:
    pieces = [many(store, "task", first, 5) for first in range(1, 201, 5)]

    with ThreadPoolExecutor(4) as monitors:
        list(monitors.map(store.task_logs.add_all, pieces))

    size, numbers = kept(store, "task")
    assert size <= MOST_BYTES
    assert store.task_logs.dropped("task") == (200 - len(numbers)) * PER_ENTRY


def test_an_entry_that_is_larger_than_the_limit_is_dropped_and_counted(store: Store) -> None:
    store.task_logs.add_all([entry(store, "task", 1, *[LINE] * 2000)])

    assert store.task_logs.of_task("task") == []
    assert store.task_logs.dropped("task") == 2000


def test_a_task_s_log_is_searched_by_text_in_any_case(store: Store) -> None:
    store.task_logs.add_all(
        [
            entry(store, "task", 1, "fetching FAQ.zim", "building"),
            entry(store, "task", 2, "100 % (done)"),
            entry(store, "other", 1, "fetching faq.zim"),
        ]
    )

    assert [part.lines for part in store.task_logs.of_task("task", "faq.Z")] == [["fetching FAQ.zim"]]
    assert [part.lines for part in store.task_logs.of_task("task", "% (")] == [["100 % (done)"]]


def test_words_are_found_in_the_logs_of_all_tasks_newest_first(store: Store) -> None:
    store.task_logs.add_all([entry(store, "one", 1, "the mirror refused", "another line")])
    store.task_logs.add_all([entry(store, "two", 1, 'The "mirror" refused'), entry(store, "three", 1, "x")])
    store.task_logs.add_all([entry(store, "four", 1, "a refused mirror")])

    assert [(part.task_id, part.lines) for part in store.task_logs.search("mirror refused")] == [
        ("one", ["the mirror refused"])
    ]
    assert {part.task_id for part in store.task_logs.search("Refused")} == {"one", "two", "four"}
    assert store.task_logs.search('"') == []


def test_the_api_tells_the_log_what_was_dropped_and_searches(api: Api) -> None:
    task = api.store.tasks.of_order(orders.place(api.store, a_draft(owner="client")).id)[0]
    api.store.task_logs.add_all([entry(api.store, task.id, 1, *[LINE] * 2000)])
    api.store.task_logs.add_all([entry(api.store, task.id, 2, "fetching faq.zim", "building")])

    log = api.get(f"/v1/tasks/{task.id}/log?text=FETCH", who="client")

    assert log["dropped_lines"] == 2000
    assert [part["lines"] for part in log["items"]] == [["fetching faq.zim"]]
    assert api.get("/v1/task-logs?text=building", who="technician")["items"][0]["task_id"] == task.id
    assert api.call("GET", "/v1/task-logs?text=building", who="client").status == 403
    assert api.call("GET", f"/v1/tasks/{task.id}/log", who="client-2").status == 404
