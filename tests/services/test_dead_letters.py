"""Dead letters over a real MongoDB and the API: an admin looks, replays or discards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cardshop.contract.events import EVENT_VERSION, outcome_to_wire
from cardshop.contract.names import DEAD_LETTER_QUEUE, EVENT_QUEUE
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import Task
from scheduler.shop import monitors, orders
from scheduler.shop.dead_letters import keep
from scheduler.shop.tasks import claim
from scheduler.store.dead_letters import DeadLetter, NewLetter
from scheduler.store.monitors import Reading
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import a_draft, image_built


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    api = new_api(mongod.uri)
    api.store.workers.seen("creator", Role.CREATOR, "creator@desk", online=True)
    return api


def a_claimed_image(api: Api) -> Task:
    image = api.store.tasks.of_order(orders.place(api.store, a_draft()).id)[0]
    return claim(api.store, image.id, 1, worker="creator", role=Role.CREATOR).task


def an_event(task: Task, **changes: Any) -> str:
    event = {
        "type": "task-succeeded",
        "uuid": task.id,
        "hostname": "creator@desk",
        "timestamp": 1.0,
        "version": EVENT_VERSION,
        "attempt": 1,
        "claim": 1,
        "seq": 1,
        "outcome": outcome_to_wire(image_built(task.image_digest)),
        **changes,
    }
    return json.dumps(event)


def a_letter(api: Api, body: str, *, source: str = EVENT_QUEUE, sender: str = "creator") -> DeadLetter:
    keep(api.store, [NewLetter(source, sender, "It could not be understood.", body)])
    return next(letter for letter in api.store.dead_letters.page()[0] if letter.body == body)


def alarms(api: Api) -> set[str]:
    return api.store.alarms.open_subjects(AlarmKind.DEAD_LETTERS)


def test_a_replayed_event_does_what_it_would_have_done(api: Api) -> None:
    image = a_claimed_image(api)
    letter = a_letter(api, an_event(image))

    told = api.post(f"/v1/dead-letters/{letter.id}/replay")

    assert (told["state"], told["decided_by"]) == ("replayed", "admin")
    assert api.store.tasks.get(image.id).state is TaskState.SUCCEEDED
    assert api.get("/v1/dead-letters")["total"] == 0
    assert api.get("/v1/dead-letters?state=replayed")["total"] == 1


def test_an_event_that_is_refused_again_waits_on(api: Api) -> None:
    image = a_claimed_image(api)
    letter = a_letter(api, an_event(image, hostname="creator-2@desk"))

    answer = api.call("POST", f"/v1/dead-letters/{letter.id}/replay")

    assert (answer.status, answer.body["code"]) == (409, "conflict")
    assert "tells of 'creator-2@desk'" in answer.body["detail"]
    assert api.get("/v1/dead-letters")["total"] == 1
    assert api.store.tasks.get(image.id).state is TaskState.STARTED


def test_replaying_twice_is_the_same_as_once(api: Api) -> None:
    letter = a_letter(api, an_event(a_claimed_image(api)))

    first = api.post(f"/v1/dead-letters/{letter.id}/replay")

    assert api.post(f"/v1/dead-letters/{letter.id}/replay") == first


def test_a_task_s_message_that_is_replayed_is_sent_again(api: Api) -> None:
    image = a_claimed_image(api)
    sent = api.store.outbox.waiting()
    message = {"version": 1, "task_id": image.id, "attempt": 1}
    body = json.dumps([[], {"message": message}, {"callbacks": None}])
    letter = a_letter(api, body, source=DEAD_LETTER_QUEUE, sender="")

    api.post(f"/v1/dead-letters/{letter.id}/replay")

    assert api.store.outbox.waiting() == sent + 1


def test_a_task_s_message_that_nothing_waits_for_is_not_sent_again(api: Api) -> None:
    image = a_claimed_image(api)
    orders.cancel(api.store, image.order_id, who="operator")
    sent = api.store.outbox.waiting()
    message = {"version": 1, "task_id": image.id, "attempt": 2}
    letter = a_letter(api, json.dumps([[], {"message": message}]), source=DEAD_LETTER_QUEUE, sender="")

    answer = api.call("POST", f"/v1/dead-letters/{letter.id}/replay")

    assert answer.status == 409
    assert api.store.outbox.waiting() == sent


def test_the_alarm_ends_with_the_last_decision(api: Api) -> None:
    letters = [a_letter(api, body) for body in ("{", "[")]
    assert alarms(api) == {"dead letters"}

    api.post(f"/v1/dead-letters/{letters[0].id}/discard")
    assert alarms(api) == {"dead letters"}
    api.post(f"/v1/dead-letters/{letters[1].id}/discard")

    assert alarms(api) == set()


def test_a_discarded_letter_that_comes_again_waits_again(api: Api) -> None:
    letter = a_letter(api, "{")
    api.post(f"/v1/dead-letters/{letter.id}/discard")

    again = a_letter(api, "{")

    assert (again.id, again.times, again.state) == (letter.id, 2, "waiting")
    assert alarms(api) == {"dead letters"}


@pytest.mark.parametrize("who", ["operator", "technician", "client", "creator", "monitor"])
def test_only_an_admin_sees_and_decides(api: Api, who: str) -> None:
    letter = a_letter(api, "{")

    assert api.call("GET", "/v1/dead-letters", who=who).status == 403
    for intent in ("replay", "discard"):
        assert api.call("POST", f"/v1/dead-letters/{letter.id}/{intent}", who=who).status == 403


def test_health_tells_what_waits_and_how_late_events_are(api: Api) -> None:
    a_letter(api, "{")
    reading = Reading("desk:1", api.store.clock(), 10, 5.0, 0.2, 0.4, 7)
    monitors.note(api.store, reading)
    monitors.note(api.store, replace(reading, name="desk:2", lag_seconds=0.3))

    assert api.get("/v1/health", who=None)["events"] == {
        "queue_length": 7,
        "lag_seconds": 0.3,
        "dead_letters": 1,
    }
    assert [monitor["name"] for monitor in api.get("/v1/monitors")["items"]] == ["desk:1", "desk:2"]


def test_late_folding_is_an_alarm_until_it_has_caught_up(api: Api) -> None:
    late = Reading("desk:1", api.store.clock(), 10, 5.0, 100.0, 120.0, 7)

    monitors.note(api.store, replace(late, queue_length=0))  # old, but it waited elsewhere
    assert api.store.alarms.open_subjects(AlarmKind.MONITOR_LAGGING) == set()
    monitors.note(api.store, late)
    assert api.store.alarms.open_subjects(AlarmKind.MONITOR_LAGGING) == {"events"}
    monitors.note(api.store, replace(late, lag_seconds=0.1))

    assert api.store.alarms.open_subjects(AlarmKind.MONITOR_LAGGING) == set()
