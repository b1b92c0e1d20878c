"""The table of states, and folding: what a late, repeated or foreign report may do (nothing)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from cardshop.contract.events import Card, CardWritten, Event, EventType, Failure, ImageBuilt, Progress
from scheduler.domain import diagrams
from scheduler.domain.orders import Order, derived_state
from scheduler.domain.states import (
    ATTEMPT_TABLE,
    FINAL_TASK_STATES,
    IMAGE_TABLE,
    ORDER_TABLE,
    TASK_TABLE,
    AttemptEvent,
    AttemptState,
    ImageEvent,
    ImageState,
    OrderEvent,
    OrderState,
    Refused,
    TaskEvent,
    TaskState,
    after,
    transition,
)
from scheduler.domain.tasks import Distrusted, Ignored, Overtaken, Task, TaskKind, fold, move
from tests.shop import a_draft

REPOSITORY = Path(__file__).parents[2]
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
def test_a_final_state_is_left_by_another_attempt_only(state: TaskState) -> None:
    leaving = {event for event in TaskEvent if not isinstance(transition(state, event), Refused)}

    assert leaving <= {TaskEvent.RETRY, TaskEvent.REBUILD}


def test_a_good_card_and_a_canceled_task_are_never_tried_again() -> None:
    assert isinstance(transition(TaskState.SUCCEEDED, TaskEvent.RETRY), Refused)
    assert isinstance(move(a_task(TaskState.SUCCEEDED), TaskEvent.REBUILD, who="s", at=NOON), Refused)
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
    assert (again.attempt, again.claim, again.error, again.state) == (2, 0, None, TaskState.PENDING)


def test_each_change_is_kept_with_who_and_why() -> None:
    moved = move(
        a_task(), TaskEvent.EXPIRE, who="beat", at=NOON + timedelta(minutes=20), why="silent for 15 minutes"
    )

    assert isinstance(moved, Task)
    line = moved.history[-1]
    assert (line.who, line.from_state, line.to_state) == ("beat", "started", "timed-out")
    assert line.why == "silent for 15 minutes"


def an_order(state: OrderState) -> Order:
    return Order("o1", 1, a_draft(quantity=1), state, NOON, NOON)


def the_image(state: TaskState, **values: object) -> Task:
    return a_task(state, id="t0", kind=TaskKind.CREATE, unit=0, worker="creator-1", **values)


def test_an_order_goes_its_way_without_a_step_back() -> None:
    way = ["accepted", "building", "built", "writing", "written", "shipped"]

    for (state, event), reached in ORDER_TABLE.items():
        if state.value in way and reached.value in way:
            assert way.index(reached) >= way.index(state), (state, event)
    for here, there in pairwise(OrderState(step) for step in way):
        assert there in {reached for (state, _), reached in ORDER_TABLE.items() if state is here}


@pytest.mark.parametrize("state", [OrderState.SHIPPED, OrderState.CANCELED])
def test_a_shipped_and_a_canceled_order_stay_so(state: OrderState) -> None:
    assert all(isinstance(after(ORDER_TABLE, state, event), Refused) for event in OrderEvent)


def test_an_order_whose_image_is_begun_anew_is_still_building() -> None:
    begun = move(the_image(TaskState.QUEUED), TaskEvent.CLAIM, who="creator-1", at=NOON)
    assert isinstance(begun, Task)
    again = replace(begun, state=TaskState.PENDING)

    assert derived_state(an_order(OrderState.BUILDING), [again, a_task()]) is OrderState.BUILDING


def test_an_order_with_its_image_does_not_wait_for_it_again_whatever_its_tasks_show() -> None:
    tasks = [the_image(TaskState.STARTED), a_task(TaskState.PENDING)]

    assert derived_state(an_order(OrderState.WRITING), tasks) is OrderState.WRITING


@pytest.mark.parametrize(
    "outcome",
    [replace(WRITTEN, image_digest="e" * 64), ImageBuilt("d" * 64, 8_000_000_000, 1000, "e" * 64, {})],
    ids=["another image's card", "an image"],
)
def test_a_card_is_not_good_by_the_report_of_something_else(outcome: CardWritten | ImageBuilt) -> None:
    told = fold(a_task(), an_event(EventType.TASK_SUCCEEDED, body=outcome), sender="writer-1", at=NOON)

    assert isinstance(told, Distrusted)


@pytest.mark.parametrize(
    "event_type", [EventType.TASK_SUCCEEDED, EventType.TASK_FAILED, EventType.TASK_PROGRESS]
)
def test_nobody_is_believed_about_work_on_a_task_that_nobody_has_claimed(event_type: EventType) -> None:
    body = {EventType.TASK_SUCCEEDED: ImageBuilt("d" * 64, 8_000_000_000, 1000, "e" * 64, {})}
    image = a_task(TaskState.QUEUED, kind=TaskKind.CREATE, worker=None, claim=0)
    forged = an_event(event_type, claim=0, hostname="creator-2@desk", body=body.get(event_type))

    assert isinstance(fold(image, forged, sender="creator-2", at=NOON), Distrusted)


def test_an_attempt_that_has_ended_stays_as_it_ended() -> None:
    for ended in set(AttemptState) - {AttemptState.OPEN, AttemptState.WORKING}:
        assert all(isinstance(after(ATTEMPT_TABLE, ended, event), Refused) for event in AttemptEvent)


def test_each_attempt_is_kept_with_its_worker_and_its_end() -> None:
    queued = a_task(TaskState.QUEUED, claim=0)
    begun = move(queued, TaskEvent.CLAIM, who="writer-1", at=NOON)
    assert isinstance(begun, Task)
    silent = move(begun, TaskEvent.EXPIRE, who="beat", at=NOON + timedelta(minutes=15), why="silent")
    assert isinstance(silent, Task)

    again = move(silent, TaskEvent.RETRY, who="operator", at=NOON + timedelta(minutes=20))

    assert isinstance(again, Task)
    assert [attempt.state for attempt in again.attempts] == [AttemptState.TIMED_OUT, AttemptState.OPEN]
    first = again.attempts[0]
    assert (first.worker, first.begun_at, first.why) == ("writer-1", NOON, "silent")
    assert first.ended_at == NOON + timedelta(minutes=15)


def test_an_image_that_is_being_deleted_is_not_kept_until_it_is_built_again() -> None:
    deleting = after(IMAGE_TABLE, ImageState.KEPT, ImageEvent.DELETE)
    assert deleting is ImageState.DELETING
    assert isinstance(after(IMAGE_TABLE, deleting, ImageEvent.DELETE), Refused)

    assert after(IMAGE_TABLE, ImageState.DELETED, ImageEvent.KEEP) is ImageState.KEPT


@pytest.mark.parametrize(
    "task",
    [
        a_task(attempt=2, claim=0, state=TaskState.QUEUED),
        a_task(claim=2, worker="writer-2"),
        a_task(TaskState.STOPPING),
        a_task(TaskState.TIMED_OUT),
    ],
    ids=["another attempt", "another's claim", "asked to stop", "timed out"],
)
def test_a_worker_that_works_on_what_it_has_no_more_is_to_stop(task: Task) -> None:
    working = an_event(EventType.TASK_PROGRESS, body=Progress("write", 5, 10, "bytes"))

    assert isinstance(fold(task, working, sender="writer-1", at=NOON), Overtaken)


def test_a_worker_that_tells_late_that_it_began_goes_on() -> None:
    told = fold(a_task(), an_event(EventType.TASK_STARTED), sender="writer-1", at=NOON)

    assert isinstance(told, Ignored)
    assert not isinstance(told, Overtaken)


def test_a_worker_that_has_ended_what_it_has_no_more_needs_no_stop() -> None:
    ended = an_event(EventType.TASK_SUCCEEDED, body=WRITTEN)

    told = fold(a_task(attempt=2, claim=0, state=TaskState.QUEUED), ended, sender="writer-1", at=NOON)

    assert isinstance(told, Ignored)
    assert not isinstance(told, Overtaken)


def test_the_page_of_states_is_made_from_the_tables() -> None:
    page = (REPOSITORY / "docs/states.md").read_text()

    assert page == diagrams.page(), "run: python -m scheduler.domain.diagrams > docs/states.md"
