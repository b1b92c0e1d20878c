"""Schedules: made and changed by people, taken and ended by beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from cardshop.contract.errors import Conflict, InvalidInput, NotFound
from scheduler import timetable
from scheduler.domain import schedules as rules
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.schedules import Missed, RunState, Schedule, Timing, Work
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

BUILT_IN_OWNER = "beat"


@dataclass(frozen=True)
class ScheduleDraft:
    """What a person says of a schedule."""

    name: str
    work: Work
    timing: Timing
    missed: Missed = Missed.CATCH_UP
    enabled: bool = True


def built_in(draft: ScheduleDraft, now: datetime) -> Schedule:
    """A schedule that beat makes itself, one a kind; an interval begins at once."""
    first = now if draft.timing.every_seconds else timetable.first_run(draft.timing, now)
    made = _schedule(draft, draft.work.kind.value, BUILT_IN_OWNER, now)
    return replace(made, built_in=True, next_run=first)


def add(store: Store, draft: ScheduleDraft, *, schedule_id: str, owner: str) -> Schedule:
    """Stores a new schedule; beat sees it within seconds.

    Raises:
        InvalidInput: names the field that is wrong.
        Conflict: the name is taken.
    """
    now = store.clock()
    _check(store, draft, now)
    schedule = _schedule(draft, schedule_id, owner, now)
    store.schedules.add(schedule)
    return schedule


def change(store: Store, schedule_id: str, draft: ScheduleDraft) -> Schedule:
    """Changes a schedule; a run that is going on ends as it began, and what was missed till now is forgotten.

    Raises:
        InvalidInput: names the field that is wrong.
        Conflict: the name is taken.
        NotFound: there is no such schedule.
    """
    now = store.clock()

    def decide(seen: Schedule) -> Schedule:
        if seen.built_in and draft.work.kind is not seen.work.kind:
            raise InvalidInput(f"This schedule is built in: its kind stays {seen.work.kind}.", field="kind")
        same = draft.timing == seen.timing and seen.enabled
        if not same or draft.work != seen.work:
            _check(store, draft, now)
        return replace(
            seen,
            name=draft.name,
            work=draft.work,
            timing=draft.timing,
            missed=draft.missed,
            enabled=draft.enabled,
            updated_at=now,
            next_run=seen.next_run if same else timetable.first_run(draft.timing, now),
            run=seen.run if seen.run and seen.run.beat else None,
            revision=seen.revision + 1,
        )

    return store.schedules.change(schedule_id, decide) or store.schedules.get(schedule_id)


def remove(store: Store, schedule_id: str) -> None:
    """Removes a schedule; a run that is going on ends all the same.

    Raises:
        Conflict: it is built in.
        NotFound: there is no such schedule.
    """
    if store.schedules.get(schedule_id).built_in:
        raise Conflict("This schedule is built in.", hint="Turn it off instead.")
    store.schedules.remove(schedule_id)
    end_alarm(store, kind=AlarmKind.SCHEDULE_FAILED, subject=schedule_id)


def run_now(store: Store, schedule_id: str) -> Schedule:
    """Makes the schedule due now; one that runs, or waits for beat, stays as it is.

    Raises:
        Conflict: it is turned off.
        NotFound: there is no such schedule.
    """
    now = store.clock()

    def decide(seen: Schedule) -> Schedule | None:
        if not seen.enabled:
            raise Conflict("This schedule is turned off.", hint="Turn it on first.")
        if seen.run and seen.run.beat:
            return None
        return replace(seen, next_run=now, run=None, revision=seen.revision + 1)

    return store.schedules.change(schedule_id, decide) or store.schedules.get(schedule_id)


def due_at(schedule: Schedule) -> datetime | None:
    """When beat must look at the schedule; None: never as it is now."""
    if schedule.run is not None:
        # A run that was begun is ended even if the schedule was turned off under it.
        return schedule.run.until if schedule.enabled or schedule.run.beat else None
    return schedule.next_run if schedule.enabled else None


def begin(store: Store, schedule_id: str, *, beat: str) -> Schedule | None:
    """Takes the run that is due, with a lease; None when there is none for this beat.

    Of two beats that ask at once, one gets it. A run that was missed and is not to be caught up is left out
    here; one whose every try killed its beat is given up.
    """
    now = store.clock()

    def decide(seen: Schedule) -> Schedule | None:
        due = due_at(seen)
        if due is None or due > now:
            return None
        if rules.is_given_up(seen):
            return rules.run_ended(seen, now, RunState.FAILED, "Given up: beat was killed in each try.")
        following = timetable.next_run(seen.timing, seen.next_run or now, now)
        if seen.run is None and seen.missed is Missed.SKIP and now - due > rules.LATE:
            return rules.run_skipped(seen, following)
        return rules.run_begun(seen, now, beat, following)

    taken = store.schedules.change(schedule_id, decide)
    if taken is None or taken.last_state is RunState.RUNNING:
        return taken
    log.warning("schedule not run", schedule=taken.name, why=taken.last_result)
    _watch(store, taken)
    return None


def renew(store: Store, schedule: Schedule) -> None:
    """Lengthens the lease of a run that this beat works on; one that was lost stays lost."""
    _change_taken(store, schedule, lambda seen: rules.run_renewed(seen, store.clock()))


def end(store: Store, schedule: Schedule, state: RunState, result: str, *, again: bool = False) -> None:
    """Keeps how the run that ``begin`` gave has ended, unless another beat has it by now.

    Args:
        store: the shop.
        schedule: as ``begin`` gave it.
        state: GOOD or FAILED.
        result: a sentence about what was done, or why not.
        again: another try may mend it.
    """
    ended = _change_taken(
        store, schedule, lambda seen: rules.run_ended(seen, store.clock(), state, result, again=again)
    )
    if ended is not None:
        _watch(store, ended)


def _watch(store: Store, schedule: Schedule) -> None:
    """Raises an alarm about a schedule that failed for good; the next run that is good ends it."""
    if schedule.last_state is RunState.GOOD:
        end_alarm(store, kind=AlarmKind.SCHEDULE_FAILED, subject=schedule.id)
    elif schedule.last_state is RunState.FAILED and schedule.run is None:
        sentence = f"The schedule {schedule.name!r} failed: {schedule.last_result}"
        raise_alarm(store, kind=AlarmKind.SCHEDULE_FAILED, subject=schedule.id, sentence=sentence)


def _change_taken(store: Store, taken: Schedule, made: Callable[[Schedule], Schedule]) -> Schedule | None:
    def decide(seen: Schedule) -> Schedule | None:
        mine, now = taken.run, seen.run
        if mine is None or now is None or (mine.beat, mine.due, mine.tries) != (now.beat, now.due, now.tries):
            return None
        return made(seen)

    try:
        return store.schedules.change(taken.id, decide)
    except NotFound:  # removed while it ran
        return None


def _check(store: Store, draft: ScheduleDraft, now: datetime) -> None:
    timetable.check_timing(draft.timing, now)
    rules.check_work(draft.work)
    if draft.work.catalogue and draft.work.catalogue not in {each.name for each in store.catalogue.every()}:
        raise InvalidInput(f"There is no catalogue {draft.work.catalogue}.", field="catalogue")
    order = draft.work.order
    if order is not None and order.medium and store.media.find(order.medium) is None:
        raise InvalidInput(f"There is no medium {order.medium}.", field="order.medium")


def _schedule(draft: ScheduleDraft, schedule_id: str, owner: str, now: datetime) -> Schedule:
    return Schedule(
        id=schedule_id,
        name=draft.name,
        work=draft.work,
        timing=draft.timing,
        owner=owner,
        created_at=now,
        updated_at=now,
        missed=draft.missed,
        enabled=draft.enabled,
        next_run=timetable.first_run(draft.timing, now),
    )
