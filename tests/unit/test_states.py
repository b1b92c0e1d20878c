"""The table of states, and folding: what a late, repeated or foreign report may do (nothing)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cardshop.contract.events import Card, CardWritten, Event, EventType, Failure, Progress
from scheduler.domain.states import FINAL_TASK_STATES, TASK_TABLE, Refused, TaskEvent, TaskState, transition
from scheduler.domain.tasks import Distrusted, Ignored, Task, TaskKind, fold, move

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WRITTEN = CardWritten("d" * 64, "A", Card("card-1", 8_000_000_000), 1000, {"write": 1.0})


def a_task(state: TaskState = TaskState.STARTED, **values: object) -> Task:
    task = Task(
        id="t1",
        order_id="o1",
        kind=TaskKind.WRITE,
        unit=1,
        state=state,
        image_digest="d" * 64,
        created_at=NOON,
        updated_at=NOON,
        worker="writer-1",
        claim=1,
    )
    return replace(task, **values)  # type: ignore[arg-type]


def an_event(event_type: EventType, seq: int = 1, **values: object) -> Event:
    event = Event(
        type=event_type,
        hostname="writer-1@desk",
        timestamp=0.0,
        task_id="t1",
        attempt=1,
        claim=1,
        seq=seq,
        body=None,
    )
    return replace(event, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", sorted(FINAL_TASK_STATES))
def test_a_final_state_is_left_by_a_retry_only(state: TaskState) -> None:
    leaving = {event for event in TaskEvent if not isinstance(transition(state, event), Refused)}

    assert leaving <= {TaskEvent.RETRY}


def test_a_good_card_and_a_canceled_task_are_never_tried_again() -> None:
    assert isinstance(transition(TaskState.SUCCEEDED, TaskEvent.RETRY), Refused)
    assert isinstance(transition(TaskState.CANCELED, TaskEvent.RETRY), Refused)


def test_a_stopping_task_can_only_end_as_canceled() -> None:
    ends = {after for (state, _), after in TASK_TABLE.items() if state is TaskState.STOPPING}

    assert ends == {TaskState.CANCELED}


def test_every_state_that_is_not_final_can_be_left() -> None:
    for state in set(TaskState) - FINAL_TASK_STATES:
        assert any(source is state and after is not state for (source, _), after in TASK_TABLE.items())


def test_a_report_that_comes_after_cancel_does_not_undo_it() -> None:
    stopping = move(a_task(), TaskEvent.CANCEL, who="operator", at=NOON)
    assert isinstance(stopping, Task)

    done = fold(stopping, an_event(EventType.TASK_SUCCEEDED, body=WRITTEN), sender="writer-1", at=NOON)

    assert isinstance(done, Task)
    assert done.state is TaskState.CANCELED


def test_an_event_is_folded_once() -> None:
    event = an_event(EventType.TASK_PROGRESS, body=Progress("write", 5, 10, "bytes"))
    once = fold(a_task(), event, sender="writer-1", at=NOON)
    assert isinstance(once, Task)

    again = fold(once, event, sender="writer-1", at=NOON)

    assert isinstance(again, Ignored)


def test_progress_that_was_overtaken_does_not_go_backward() -> None:
    later = an_event(EventType.TASK_PROGRESS, seq=7, body=Progress("read-back", 1, 10, "bytes"))
    earlier = an_event(EventType.TASK_PROGRESS, seq=6, body=Progress("write", 9, 10, "bytes"))
    task = fold(a_task(), later, sender="writer-1", at=NOON)
    assert isinstance(task, Task)

    assert isinstance(fold(task, earlier, sender="writer-1", at=NOON), Ignored)
    assert task.progress is not None
    assert task.progress["phase"] == "read-back"


def test_an_outcome_counts_even_when_nothing_before_it_arrived() -> None:
    queued = a_task(TaskState.QUEUED)

    done = fold(queued, an_event(EventType.TASK_SUCCEEDED, seq=9, body=WRITTEN), sender="writer-1", at=NOON)

    assert isinstance(done, Task)
    assert done.state is TaskState.SUCCEEDED
    assert done.outcome is not None
    assert done.outcome["card"]["serial"] == "card-1"


def test_success_without_an_outcome_proves_nothing() -> None:
    told = fold(a_task(), an_event(EventType.TASK_SUCCEEDED), sender="writer-1", at=NOON)

    assert isinstance(told, Ignored)


def test_another_workers_event_is_not_believed() -> None:
    told = fold(a_task(), an_event(EventType.TASK_SUCCEEDED, body=WRITTEN), sender="writer-2", at=NOON)

    assert isinstance(told, Distrusted)


@pytest.mark.parametrize(("attempt", "claim"), [(2, 1), (1, 2)])
def test_an_attempt_or_claim_that_was_never_given_is_not_believed(attempt: int, claim: int) -> None:
    event = an_event(EventType.TASK_SUCCEEDED, body=WRITTEN, attempt=attempt, claim=claim)

    assert isinstance(fold(a_task(), event, sender="writer-1", at=NOON), Distrusted)


def test_a_worker_that_lost_its_task_changes_nothing() -> None:
    taken_over = a_task(claim=2, worker="writer-2")
    late = an_event(EventType.TASK_FAILED, body=Failure("card-failed", "The card died."))

    assert isinstance(fold(taken_over, late, sender="writer-1", at=NOON), Ignored)


def test_a_report_of_an_earlier_attempt_changes_nothing() -> None:
    second = a_task(attempt=2, claim=0, state=TaskState.QUEUED)

    assert isinstance(fold(second, an_event(EventType.TASK_FAILED), sender="writer-1", at=NOON), Ignored)


def test_a_retry_is_a_new_attempt_that_forgets_the_error() -> None:
    failed = a_task(TaskState.FAILED, error={"code": "card-failed"}, folded=(1, 1, 9))

    again = move(failed, TaskEvent.RETRY, who="operator", at=NOON)

    assert isinstance(again, Task)
    assert (again.attempt, again.claim, again.error, again.state) == (2, 0, None, TaskState.QUEUED)


def test_each_change_is_kept_with_who_and_why() -> None:
    moved = move(
        a_task(), TaskEvent.EXPIRE, who="beat", at=NOON + timedelta(minutes=20), why="silent for 15 minutes"
    )

    assert isinstance(moved, Task)
    line = moved.history[-1]
    assert (line.who, line.from_state, line.to_state) == ("beat", "started", "timed-out")
    assert line.why == "silent for 15 minutes"
