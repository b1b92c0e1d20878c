"""The wire form of every message and event is what the golden files say; readers are as tolerant as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import (
    CardWritten,
    Event,
    EventType,
    Failure,
    ImageBuilt,
    Outcome,
    Phase,
    read_events,
)
from cardshop.contract.tasks import Claim, CreateTask, WriteTask
from cardshop.worker import Reporter
from cardshop.worker.publisher import EventPublisher
from cardshop.worker.reporter import Announcer
from cardshop.worker.stopping import StopSwitch
from tests.contract.examples import EVENTS, MESSAGES

GOLDEN = Path(__file__).with_name("golden")


def golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written_as_its_golden_file_has_it(name: str) -> None:
    assert MESSAGES[name].to_wire() == golden(name)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_read_as_it_was_written(name: str) -> None:
    assert type(MESSAGES[name]).from_wire(golden(name)) == MESSAGES[name]


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_read_from_its_golden_file(name: str) -> None:
    assert Event.from_wire(golden(name)) == EVENTS[name]


def test_there_is_no_golden_file_without_an_example() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*MESSAGES, *EVENTS}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_reader_ignores_fields_that_it_does_not_know(name: str) -> None:
    newer = {**golden(name), "colour": "green"}

    assert type(MESSAGES[name]).from_wire(newer) == MESSAGES[name]


@pytest.mark.parametrize("name", EVENTS)
def test_a_reader_of_events_ignores_fields_that_it_does_not_know(name: str) -> None:
    assert Event.from_wire({**golden(name), "freq": 5.0, "loadavg": [0, 0, 0]}) == EVENTS[name]


@pytest.mark.parametrize("name", [*MESSAGES, *EVENTS])
@pytest.mark.parametrize("version", [2, "1", None])
def test_another_version_is_rejected(name: str, version: object) -> None:
    wire = {**golden(name), "version": version}

    with pytest.raises(MessageRejected) as rejected:
        reader(name)(wire)

    assert rejected.value.field == "version"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, (field,)) for name in MESSAGES for field in ("task_id", "attempt", "version")),
        ("create-task", ("contents", 0, "sha256")),
        ("create-task", ("base", "name")),
        ("claim-to-write", ("warehouse", "token")),
        *((name, ("hostname",)) for name in EVENTS),
        *((name, (field,)) for name in EVENTS if name.startswith("task-") for field in ("uuid", "claim")),
        ("task-progress", ("total",)),
        ("slot-changed", ("card", "size_bytes")),
        ("task-succeeded-write", ("outcome", "verified_bytes")),
    ],
)
def test_a_missing_field_is_named(name: str, path: tuple[str | int, ...]) -> None:
    wire = golden(name)
    parent: Any = wire
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]

    with pytest.raises(MessageRejected) as rejected:
        reader(name)(wire)

    assert rejected.value.field.endswith(str(path[-1]))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("create-task", "attempt", "1"),
        ("create-task", "attempt", True),
        ("create-task", "contents", {}),
        ("write-task", "size_bytes", 1.5),
        ("task-progress", "done", None),
        ("task-log", "lines", "one line"),
        ("task-failed", "outcome", "sorry"),
        ("task-failed", "outcome", {"kind": "image-built"}),
        ("slot-changed", "card", "a card"),
        *(("slot-changed", "slot", name) for name in ("", "A.card", "$A", "A\0", "a" * 17)),
    ],
)
def test_a_value_of_a_wrong_type_is_rejected(name: str, field: str, value: object) -> None:
    with pytest.raises(MessageRejected):
        reader(name)({**golden(name), field: value})


def test_celerys_other_events_are_not_ours_to_read() -> None:
    assert Event.from_wire({"type": "task-sent", "uuid": "1", "hostname": "a@b", "timestamp": 1.0}) is None


def test_celerys_bare_success_ends_nothing() -> None:
    wire = golden("task-succeeded-create")
    del wire["outcome"]

    event = Event.from_wire(wire)

    assert event
    assert event.body is None


def test_what_a_reporter_tells_is_what_the_golden_files_have() -> None:
    told = Told()
    reporter = Reporter(Announcer(told, "writer-1@host"), StopSwitch(), task_id="1", attempt=2, claim=1)
    failure, built, written = (EVENTS[name].body for name in OUTCOMES)

    reporter.started()
    reporter.progress(Phase.READ_BACK, 4_194_304, 600_000_000)
    reporter.log("Image is on this host.", "Waiting for a card.")
    reporter.waiting("A", "Put a card of 8 GB into slot A.")
    for outcome in (failure, built, written):
        assert isinstance(outcome, Outcome)
        reporter.ended(outcome, 1.0)
    reporter.revoked()
    reporter.slot_changed("A", None)

    names = ("task-started", "task-progress", "task-log", "task-waiting-for-card", *OUTCOMES)
    for event, name in zip(told.events, (*names, "task-revoked", "slot-emptied"), strict=True):
        expected = golden(name)
        own = {"uuid": "1", "timestamp": event["timestamp"], "seq": event.get("seq")}
        assert {key: event.get(key) for key in expected} == {
            **expected,
            **{key: own[key] for key in own if key in expected},
        }
        assert Event.from_wire(event)


OUTCOMES = ("task-failed", "task-succeeded-create", "task-succeeded-write")


class Told(EventPublisher):
    """Keeps events instead of sending them."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []

    def send(self, event: Mapping[str, Any], **_how: bool) -> threading.Event:
        self.events.append(event)
        return threading.Event()


def reader(name: str) -> Callable[[Mapping[str, Any]], object]:
    return type(MESSAGES[name]).from_wire if name in MESSAGES else Event.from_wire


def test_every_kind_of_event_has_a_golden_file() -> None:
    never_told = {EventType.TASK_RETRIED}

    assert {event.type for event in EVENTS.values()} == set(EventType) - never_told
    assert {type(event.body) for event in EVENTS.values()} >= {ImageBuilt, CardWritten, Failure}
    assert {type(message) for message in MESSAGES.values()} == {CreateTask, WriteTask, Claim}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"type":"task-log","lines":' + "[" * 100_000])
def test_a_message_that_is_nested_without_end_is_refused_and_ends_no_monitor(text: str) -> None:
    with pytest.raises(MessageRejected):
        read_events(text)
