"""What time decides: silent workers and slots are shown and told of, and their tasks are given to others.

:func:`sweep` may run in several processes at once: each verdict is a compare-and-set on what it was based on,
so the one that comes second finds it done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scheduler.domain.alarms import AlarmKind
from scheduler.domain.retrying import is_given_up, tried_again
from scheduler.domain.rights import Role
from scheduler.domain.silence import HEARING, MONITOR_SILENT, MOST_WAITING, Limits, Presence, why_timed_out
from scheduler.domain.slots import slot_silenced
from scheduler.domain.states import Refused, SlotState, TaskEvent, TaskState
from scheduler.domain.tasks import Ignored, Task, move
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.shop.dispatching import dispatch, taking_work
from scheduler.shop.following import follow
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store
from scheduler.store.workers import Worker

WHO = "beat"

_AT_A_WORKER = (
    TaskState.QUEUED,
    TaskState.RECEIVED,
    TaskState.STARTED,
    TaskState.WAITING_FOR_CARD,
    TaskState.STOPPING,
)


def sweep(store: Store, limits: Limits) -> int:
    """Looks for silence once; returns how many tasks timed out. A shop that is deaf decides nothing."""
    heard_since = _heard_since(store)
    if heard_since is None:
        return 0
    now = store.clock()
    for worker in store.workers.every():
        _judge_worker(store, worker, heard_since, limits)
    workers = {worker.username: worker for worker in store.workers.every()}
    _alarm_about(store, workers)
    timed_out = 0
    for task in store.tasks.in_states(_AT_A_WORKER):
        having = workers.get(task.worker or "")
        if task.state is TaskState.STOPPING and having:
            # The request may have been lost, while its worker was cut off.
            store.outbox.ask_to_stop(task.id, task.attempt, having.hostname)
        presence = _presence(having) if having else None
        idle_since = _idle_since(store, task, workers) if now - task.updated_at > limits.task else None
        if why := why_timed_out(
            task, presence, idle_since=idle_since, heard_since=heard_since, now=now, limits=limits
        ):
            timed_out += _time_out(store, task, why, having)
    _end_alarms_of_tasks(store)
    if timed_out:
        dispatch(store)
    return timed_out


def _heard_since(store: Store) -> datetime | None:
    """Since when the shop hears what it is told; None while it doesn't.

    It is deaf while no monitor keeps up, or while nobody swept: then nobody knows whether one did.
    """
    now, marks = store.clock(), store.health.every()
    hears = any(
        now - seen.at <= HEARING and seen.reading.queue_length <= MOST_WAITING
        for seen in store.monitors.every()
    )
    swept = marks.get("silence-swept")
    store.health.did("silence-swept")
    if hears or "heard" not in marks:
        store.health.did("heard")
        marks["heard"] = now
    if not hears or swept is None or now - swept > HEARING:
        store.health.did("deaf")
        marks["deaf"] = now
    if hears:
        end_alarm(store, kind=AlarmKind.MONITOR_SILENT, subject="monitor")
        return marks.get("deaf", now)
    if now - marks["heard"] > MONITOR_SILENT:
        sentence = "No monitor keeps up with what workers tell: orders seem to stand still until one does."
        raise_alarm(store, kind=AlarmKind.MONITOR_SILENT, subject="monitor", sentence=sentence)
    return None


def _judge_worker(store: Store, worker: Worker, heard_since: datetime, limits: Limits) -> None:
    if worker.state != "online":
        return
    now = store.clock()
    if now - max(worker.last_seen, heard_since) > limits.worker:
        why = f"no heartbeat for {limits.worker.total_seconds():.0f} s"
        store.workers.silence(worker, who=WHO, why=why)
        return
    last_told = max((slot.heard_at for slot in worker.slots), default=now)
    for slot in worker.slots:
        if slot.state is SlotState.SILENT or now - max(slot.heard_at, heard_since) <= limits.slot:
            continue
        if now - last_told <= limits.slot:  # it tells of another: its configuration has changed
            store.workers.forget_slot(worker.username, slot)
            continue
        why = f"nothing was told of it for {limits.slot.total_seconds():.0f} s"
        silenced = slot_silenced(slot, who=WHO, now=now, why=why)
        if not isinstance(silenced, Refused):
            store.workers.silence_slot(worker.username, slot, silenced)


def _alarm_about(store: Store, workers: Mapping[str, Worker]) -> None:
    """Raises the alarms of what is silent, and ends those of what is not any more."""
    silent = {name: worker for name, worker in workers.items() if worker.state == "silent"}
    for name, worker in silent.items():
        sentence = f"The {worker.kind} {name} is silent since {worker.last_seen:%Y-%m-%d %H:%M:%S} UTC."
        raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject=name, sentence=sentence)
    for name in store.alarms.open_subjects(AlarmKind.WORKER_SILENT) - silent.keys():
        end_alarm(store, kind=AlarmKind.WORKER_SILENT, subject=name)
    slots = {
        f"{worker.username}/{slot.slot}"
        for worker in workers.values()
        for slot in worker.slots
        if slot.state is SlotState.SILENT
    }
    for name in slots:
        sentence = f"The slot {name} hangs: its writer lives and tells nothing of it. Look at reader and hub."
        raise_alarm(store, kind=AlarmKind.SLOT_SILENT, subject=name, sentence=sentence)
    for name in store.alarms.open_subjects(AlarmKind.SLOT_SILENT) - slots:
        end_alarm(store, kind=AlarmKind.SLOT_SILENT, subject=name)


def _time_out(store: Store, task: Task, why: str, worker: Worker | None) -> bool:
    now = store.clock()

    def decide(seen: Task) -> Task | Refused | Ignored:
        if seen.revision != task.revision:
            return Ignored("it was heard of meanwhile")
        moved = move(seen, TaskEvent.EXPIRE, who=WHO, at=now, why=why)
        return moved if isinstance(moved, Refused) else tried_again(moved, now)

    def work(session: Any) -> bool:
        before, after = store.tasks.apply(task.id, decide, session)
        if not isinstance(after, Task):
            return False
        if worker and before.claim:
            # It may hang, or come back: what it goes on with is not its own any more.
            line = OutboxLine(LineKind.STOP, task.id, node=worker.hostname, attempt=before.attempt)
            store.outbox.add([line], session)
        if is_given_up(after):
            sentence = f"Each attempt of the task ended in silence, at last: {why}."
            raise_alarm(
                store, kind=AlarmKind.TASK_GIVEN_UP, subject=task.id, sentence=sentence, session=session
            )
        follow(store, task.order_id, session, who=WHO, why=why)
        return True

    return store.transaction(work)


def _idle_since(store: Store, task: Task, workers: Mapping[str, Worker]) -> datetime | None:
    """Since when a worker that may take the task, which waits at the broker, has had no other one."""
    if task.state is not TaskState.QUEUED:
        return None
    takers = [task.worker] if task.worker else taking_work(store)[Role.CREATOR]
    idle = []
    for worker in (workers[name] for name in takers if name in workers):
        others = [other for other in store.tasks.of_worker(worker.username, _AT_A_WORKER) if other != task]
        if worker.state == "online" and not others:
            last = store.tasks.last_of_worker(worker.username, besides=task.id)
            changed = [worker.history[-1].at] if worker.history else []
            idle.append(max([*changed, *([last.updated_at] if last else [])], default=task.updated_at))
    return min(idle, default=None)


def _end_alarms_of_tasks(store: Store) -> None:
    for task_id in store.alarms.open_subjects(AlarmKind.TASK_GIVEN_UP):
        task = store.tasks.get(task_id)
        order = store.orders.get(task.order_id)
        if not is_given_up(task) or order.cancel_requested_at:
            end_alarm(store, kind=AlarmKind.TASK_GIVEN_UP, subject=task_id)


def _presence(worker: Worker) -> Presence:
    return Presence(
        worker.username, worker.state, worker.last_seen, tuple(slot.state for slot in worker.slots)
    )
