"""Runs of schedules: taken once by two beats, caught up or left out, tried again, given up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from beat.jobs import default_schedules
from cardshop.contract.errors import InvalidInput, MirrorRefused
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.schedules import LEASE, Missed, RunState, Schedule, Timing
from scheduler.shop import schedules as shop
from scheduler.shop.schedules import ScheduleDraft
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.schedules import HOURLY, WORK, add, beat
from tests.shop import Clock
from tests.workers import until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(mongod: RealMongod, clock: Clock) -> Api:
    return new_api(mongod.uri, clock=clock)


def test_two_beats_at_once_take_a_run_once(api: Api, clock: Clock) -> None:
    schedule = add(api)
    clock.forward(timedelta(minutes=10))
    ready = threading.Barrier(8)
    taken = []

    def take(number: int) -> None:
        ready.wait()
        taken.append(shop.begin(api.store, schedule.id, beat=f"beat-{number}"))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(each is not None for each in taken) == 1


def test_runs_that_were_missed_are_caught_up_by_one(api: Api, clock: Clock) -> None:
    schedule = add(api, missed=Missed.CATCH_UP)
    due = schedule.next_run
    clock.forward(timedelta(hours=5, minutes=1))

    taken = shop.begin(api.store, schedule.id, beat="beat-1")

    assert taken is not None
    assert taken.run is not None
    assert taken.run.due == due
    shop.end(api.store, taken, RunState.GOOD, "Done.")
    assert shop.begin(api.store, schedule.id, beat="beat-1") is None
    following = api.store.schedules.get(schedule.id).next_run
    assert following == schedule.created_at + timedelta(hours=5, minutes=10)


def test_runs_that_were_missed_are_left_out_where_the_schedule_says_so(api: Api, clock: Clock) -> None:
    schedule = add(api, missed=Missed.SKIP)
    clock.forward(timedelta(hours=5, minutes=1))

    assert shop.begin(api.store, schedule.id, beat="beat-1") is None

    seen = api.store.schedules.get(schedule.id)
    assert seen.last_state is RunState.SKIPPED
    assert seen.next_run == schedule.created_at + timedelta(hours=5, minutes=10)
    clock.forward(timedelta(minutes=9))
    assert shop.begin(api.store, schedule.id, beat="beat-1") is not None


def test_a_schedule_for_once_runs_once(api: Api, clock: Clock) -> None:
    schedule = add(api, timing=Timing(at=clock() + timedelta(hours=1)))
    clock.forward(timedelta(hours=2))

    taken = shop.begin(api.store, schedule.id, beat="beat-1")

    assert taken is not None
    shop.end(api.store, taken, RunState.GOOD, "Done.")
    assert api.store.schedules.get(schedule.id).next_run is None
    assert shop.begin(api.store, schedule.id, beat="beat-1") is None


def test_the_run_of_a_killed_beat_is_begun_again_by_another_for_the_same_moment(
    api: Api, clock: Clock
) -> None:
    schedule = add(api)
    clock.forward(timedelta(minutes=10))
    first = shop.begin(api.store, schedule.id, beat="killed")
    assert first is not None
    assert shop.begin(api.store, schedule.id, beat="other") is None

    clock.forward(LEASE)
    second = shop.begin(api.store, schedule.id, beat="other")

    assert second is not None
    assert second.run is not None
    assert first.run is not None
    assert (second.run.due, second.run.tries) == (first.run.due, 2)
    shop.end(api.store, first, RunState.GOOD, "The killed one speaks.")
    assert api.store.schedules.get(schedule.id).last_state is RunState.RUNNING


def test_a_run_goes_on_as_long_as_its_beat_says_so(api: Api, clock: Clock) -> None:
    schedule = add(api)
    clock.forward(timedelta(minutes=10))
    taken = shop.begin(api.store, schedule.id, beat="slow")
    assert taken is not None
    for _ in range(5):
        clock.forward(LEASE / 2)
        shop.renew(api.store, taken)

    assert shop.begin(api.store, schedule.id, beat="other") is None


def test_a_job_that_kills_each_beat_is_given_up_with_an_alarm_and_tried_at_its_next_time(
    api: Api, clock: Clock
) -> None:
    schedule = add(api, timing=Timing(every_seconds=3600))
    clock.forward(timedelta(hours=1))
    tries = 0
    while shop.begin(api.store, schedule.id, beat=f"beat-{tries}"):
        tries += 1
        clock.forward(LEASE)

    seen = api.store.schedules.get(schedule.id)
    assert (tries, seen.last_state, seen.run) == (4, RunState.FAILED, None)
    assert api.store.alarms.open_subjects(AlarmKind.SCHEDULE_FAILED) == {schedule.id}
    clock.forward(timedelta(hours=1))
    again = shop.begin(api.store, schedule.id, beat="last")
    assert again is not None
    shop.end(api.store, again, RunState.GOOD, "Done.")
    assert api.store.alarms.open_subjects(AlarmKind.SCHEDULE_FAILED) == set()


def test_a_run_that_failed_for_a_passing_reason_is_tried_again_before_its_next_time(
    api: Api, clock: Clock
) -> None:
    def job(schedule: Schedule) -> str:
        seen.append(schedule.run.due if schedule.run else None)
        if len(seen) < 3:
            raise MirrorRefused("The mirror is away.")
        return "Done."

    seen: list[datetime | None] = []
    schedule = add(api, timing=Timing(crontab="0 3 1 * *"))
    assert schedule.next_run is not None
    clock.now = schedule.next_run
    worker = beat(api, job)
    for _ in range(40):
        worker.tick()
        worker.join_runs()
        clock.forward(timedelta(minutes=1))

    ended = api.store.schedules.get(schedule.id)
    assert seen == [schedule.next_run] * 3
    assert (ended.last_state, ended.last_result) == (RunState.GOOD, "Done.")


@pytest.mark.parametrize(
    ("error", "told"),
    [(InvalidInput("The recipe is wrong.", hint="Mend it."), "The recipe is wrong. Mend it.")],
)
def test_a_run_that_failed_for_good_says_why_and_raises_an_alarm(
    api: Api, clock: Clock, error: Exception, told: str
) -> None:
    def job(_: Schedule) -> str:
        raise error

    schedule = add(api)
    clock.forward(timedelta(minutes=10))
    worker = beat(api, job)
    worker.tick()
    worker.join_runs()

    seen = api.store.schedules.get(schedule.id)
    assert (seen.last_state, seen.last_result, seen.run) == (RunState.FAILED, told, None)
    assert api.store.alarms.open_subjects(AlarmKind.SCHEDULE_FAILED) == {schedule.id}


def test_a_job_with_a_fault_stops_no_other(api: Api, clock: Clock) -> None:
    def job(schedule: Schedule) -> str:
        if schedule.name == "bad":
            raise ZeroDivisionError
        return "Done."

    for name in ("bad", "good"):
        add(api, name=name)
    clock.forward(timedelta(minutes=10))
    worker = beat(api, job)
    worker.tick()
    worker.join_runs()

    assert api.store.schedules.get("good").last_state is RunState.GOOD
    assert "ZeroDivisionError" in api.store.schedules.get("bad").last_result


def test_a_slow_job_keeps_no_other_from_running(api: Api, clock: Clock) -> None:
    def job(schedule: Schedule) -> str:
        if schedule.name == "slow":
            release.wait()
        return "Done."

    release = threading.Event()
    for name in ("slow", "quick"):
        add(api, name=name)
    clock.forward(timedelta(minutes=10))
    worker = beat(api, job)
    worker.tick()
    try:
        until("quick ran", lambda: api.store.schedules.get("quick").last_state is RunState.GOOD)
        assert api.store.schedules.get("slow").last_state is RunState.RUNNING
    finally:
        release.set()
        worker.join_runs()


def test_a_change_is_seen_at_the_next_tick_and_ticks_are_seconds_apart(api: Api, clock: Clock) -> None:
    made = api.post("/v1/schedules", {**HOURLY, "crontab": "0 0 1 1 *"})
    worker = beat(api, lambda _: "Done.")
    assert worker.tick() <= 5

    api.call("PUT", f"/v1/schedules/{made['id']}", {**HOURLY, "crontab": "", "every_seconds": 60})
    clock.forward(timedelta(seconds=60))
    worker.tick()
    worker.join_runs()

    assert api.get(f"/v1/schedules/{made['id']}")["last_result"] == "Done."


def test_a_schedule_runs_now_when_asked_and_keeps_its_times(api: Api, clock: Clock) -> None:
    made = api.post("/v1/schedules", HOURLY)
    worker = beat(api, lambda _: "Done.")
    worker.tick()
    assert api.get(f"/v1/schedules/{made['id']}")["last_run"] is None

    api.post(f"/v1/schedules/{made['id']}/runs")
    worker.tick()
    worker.join_runs()

    seen = api.get(f"/v1/schedules/{made['id']}")
    assert (seen["last_state"], seen["next_run"]) == ("good", made["next_run"])
    api.call("PUT", f"/v1/schedules/{made['id']}", {**HOURLY, "enabled": False})
    assert api.call("POST", f"/v1/schedules/{made['id']}/runs").status == 409


def test_a_schedule_that_was_off_does_not_make_up_for_it_when_it_is_turned_on(api: Api, clock: Clock) -> None:
    made = api.post("/v1/schedules", {**HOURLY, "enabled": False})
    clock.forward(timedelta(days=3))

    on = shop.change(api.store, made["id"], ScheduleDraft("logs", WORK, Timing(crontab="0 * * * *")))

    assert on.next_run is not None
    assert on.next_run > clock()
    assert shop.begin(api.store, made["id"], beat="beat-1") is None


def test_a_schedule_removed_while_it_runs_ends_quietly(api: Api, clock: Clock) -> None:
    schedule = add(api)
    clock.forward(timedelta(minutes=10))
    taken = shop.begin(api.store, schedule.id, beat="beat-1")
    assert taken is not None

    shop.remove(api.store, schedule.id)
    shop.renew(api.store, taken)
    shop.end(api.store, taken, RunState.FAILED, "Too late.")

    assert api.store.schedules.every() == []
    assert api.store.alarms.open_subjects(AlarmKind.SCHEDULE_FAILED) == set()


def test_entries_of_the_first_form_are_dropped(mongod: RealMongod, api: Api) -> None:
    api.store._database["schedules"].insert_one({"_id": "old", "job": "dispatch-waiting", "every_seconds": 5})

    api.store.schedules.prepare()

    assert api.store.schedules.every() == []


def test_a_built_in_interval_begins_at_once(clock: Clock) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    firsts = {schedule.id: schedule.next_run for schedule in default_schedules(now)}

    assert firsts["refresh-catalogues"] == now
    assert firsts["rotate-keys"] == datetime(2026, 1, 1, 3, 40, tzinfo=UTC)
