"""Handing out work: waiting tasks go to the broker as far as workers can take them, each in its turn.

:func:`dispatch` is called after everything that may make a task ready or a worker free, by each process that
sees it happen, and by beat for what nobody saw. One round runs at a time; it is one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import structlog

from scheduler.domain.dispatching import (
    Waiting,
    WriterLoad,
    in_turn,
    places_at_creators,
    places_at_writers,
)
from scheduler.domain.rights import Role
from scheduler.domain.states import Refused, TaskEvent
from scheduler.domain.tasks import Task, TaskKind, move
from scheduler.shop.following import follow, task_line
from scheduler.store.database import DatabaseError
from scheduler.store.queue import Load
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

WHO = "scheduler"


def dispatch(store: Store) -> int:
    """Hands out what can be handed out now; returns how many tasks this call did, perhaps none.

    It may be called at any time, by several processes at once. When another one is in a round, this call
    leaves it to that one, which looks again before it ends. What a database that fails leaves undone is done
    by the next call.
    """
    try:
        store.rounds.ask()
        return _rounds(store)
    except DatabaseError as error:
        log.warning("can't hand out work now", error=type(error).__name__)
        return 0


def taking_work(store: Store, session: Any = None) -> dict[Role, list[str]]:
    """User names of the workers that take work now, by their role: online, and not drained."""
    roles = store.users.enabled_names((Role.CREATOR, Role.WRITER), session)
    names = (roles.keys() & store.workers.online_names(session)) - store.drains.now(session).keys()
    return {
        role: sorted(name for name in names if roles[name] is role) for role in (Role.CREATOR, Role.WRITER)
    }


def _rounds(store: Store) -> int:
    holder, done = uuid.uuid4().hex, 0
    while (asked := store.rounds.take(holder)) is not None:
        round_ = _Round(store, holder, asked)
        done += store.transaction(round_.work)
    return done


class _Round:
    """One round; :meth:`work` may be run several times, as transactions are."""

    def __init__(self, store: Store, holder: str, asked: int) -> None:
        self._store = store
        self._holder = holder
        self._asked = asked

    def work(self, session: Any) -> int:
        """Hands out what can be; returns how many tasks."""
        if not self._store.rounds.serve(self._holder, self._asked, session):
            return 0
        cards = self._rebuild_images(session)
        images = self._store.queue.images_awaited(session)
        reused = self._reuse_images(images, session)
        if not images and not cards:
            return 0
        takers, loads = taking_work(self._store, session), self._store.queue.loads(session)
        creates = self._creates(takers[Role.CREATOR], loads[TaskKind.CREATE], session) if images else []
        writes = self._writes(takers[Role.WRITER], loads[TaskKind.WRITE], session) if cards or reused else []
        return (
            reused
            + self._hand_out(TaskKind.CREATE, creates, session)
            + self._hand_out(TaskKind.WRITE, writes, session)
        )

    def _rebuild_images(self, session: Any) -> bool:
        """Builds anew what cards wait for and the warehouse keeps no more; who relies on the rest says so.

        Returns:
            Whether cards wait for writers.
        """
        awaited = self._store.queue.images_of_cards(session)
        if not awaited:
            return False
        gone = awaited.keys() - self._store.images.use_all(awaited, session).keys()
        for order_id in sorted({order_id for digest in gone for order_id in awaited[digest]}):
            image = self._store.tasks.of_order(order_id, session)[0]
            self._store.tasks.apply(image.id, self._rebuilding, session)
            self._store.queue.make_unready(order_id, session)
            log.info("an image is built anew, the warehouse keeps it no more", order=order_id)
        return True

    def _reuse_images(self, awaited: Mapping[str, Sequence[str]], session: Any) -> int:
        """Ends those of the awaited create tasks whose image is there by now."""
        reused = 0
        for digest, outcome in self._store.images.use_all(awaited, session).items() if awaited else ():
            for task_id in awaited[digest]:
                _, task = self._store.tasks.apply(task_id, self._reusing(outcome), session)
                if isinstance(task, Task):
                    follow(self._store, task.order_id, session, who=WHO, why="its image is kept")
                    reused += 1
        return reused

    def _creates(
        self, creators: Sequence[str], load: Load, session: Any
    ) -> Sequence[tuple[Waiting, str | None]]:
        queue = self._store.queue
        places = places_at_creators(len(creators), load.tasks)
        if not places:
            return []
        # An image that is being built is waited for; should its task fail, the next round builds it anew.
        waiting = queue.waiting(TaskKind.CREATE, per_lane=places, without=load.images, session=session)
        chosen = in_turn(waiting, queue.standings(TaskKind.CREATE, load, session), one_an_image=True)
        return [(task, None) for task in islice(chosen, places)]

    def _writes(
        self, writers: Sequence[str], load: Load, session: Any
    ) -> Sequence[tuple[Waiting, str | None]]:
        queue = self._store.queue
        places = places_at_writers([WriterLoad(name, load.by_worker.get(name, 0)) for name in writers])
        if not places:
            return []
        waiting = queue.waiting(TaskKind.WRITE, per_lane=len(places), session=session)
        chosen = in_turn(waiting, queue.standings(TaskKind.WRITE, load, session))
        return list(zip(chosen, places, strict=False))

    def _hand_out(self, kind: TaskKind, chosen: Sequence[tuple[Waiting, str | None]], session: Any) -> int:
        if not chosen:
            return 0
        store, now = self._store, self._store.clock()
        tasks = store.tasks.by_ids([waiting.task_id for waiting, _ in chosen], session)
        orders = store.orders.by_ids({waiting.order_id for waiting, _ in chosen}, session)
        changes, lines = [], []
        for waiting, worker in chosen:
            task = tasks[waiting.task_id]
            why = f"for {worker}" if worker else ""
            moved = move(task, TaskEvent.RELEASE, who=WHO, at=now, why=why)
            if isinstance(moved, Task):
                released = replace(moved, worker=worker)
                changes.append((task, released))
                lines.append(task_line(orders[task.order_id], released))
        # A change of another's after this transaction began ends it, and it begins anew.
        store.tasks.replace_all(changes, session)
        store.outbox.add(lines, session)
        store.queue.served(kind, {waiting.channel for waiting, _ in chosen}, now, session)
        return len(changes)

    def _rebuilding(self, task: Task) -> Task | Refused:
        why = "the warehouse keeps its image no more"
        return move(task, TaskEvent.REBUILD, who=WHO, at=self._store.clock(), why=why)

    def _reusing(self, kept: Any) -> Any:
        def decide(task: Task) -> Task | Refused:
            why = "the image is kept from an earlier order"
            moved = move(task, TaskEvent.REUSE, who=WHO, at=self._store.clock(), why=why)
            return replace(moved, outcome=kept) if isinstance(moved, Task) else moved

        return decide
