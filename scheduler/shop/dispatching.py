"""Handing out work: waiting tasks go to the broker as far as workers can take them, each in its turn.

:func:`dispatch` is called after everything that may make a task ready or a worker free, by each process that
sees it happen, and by beat for what nobody saw. One round runs at a time; it is one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
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


def taking_work(store: Store, role: Role, session: Any = None) -> list[str]:
    """User names of the workers of a role that take work now: online, and not drained."""
    drained = store.drains.now(session).keys()
    return sorted((store.users.enabled_names(role) & store.workers.online_names(session)) - drained)


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
        self._rebuild_images(session)
        done = self._reuse_images(session)
        done += self._hand_out(TaskKind.CREATE, self._creates(session), session)
        return done + self._hand_out(TaskKind.WRITE, self._writes(session), session)

    def _rebuild_images(self, session: Any) -> None:
        """Builds anew what cards wait for and the warehouse keeps no more; who relies on the rest says so."""
        awaited = self._store.queue.images_of_cards(session)
        gone = awaited.keys() - self._store.images.use_all(awaited, session) if awaited else set()
        for order_id in sorted({order_id for digest in gone for order_id in awaited[digest]}):
            image = self._store.tasks.of_order(order_id, session)[0]
            self._store.tasks.apply(image.id, self._rebuilding, session)
            self._store.queue.make_unready(order_id, session)
            log.info("an image is built anew, the warehouse keeps it no more", order=order_id)

    def _reuse_images(self, session: Any) -> int:
        """Ends the create tasks whose image is there by now."""
        reused = 0
        for digest, task_ids in self._store.queue.images_awaited(session).items():
            kept = self._store.images.use(digest, session)
            for task_id in task_ids if kept else ():
                _, task = self._store.tasks.apply(task_id, self._reusing(kept), session)
                if isinstance(task, Task):
                    follow(self._store, task.order_id, session, who=WHO, why="its image is kept")
                    reused += 1
        return reused

    def _creates(self, session: Any) -> list[tuple[Waiting, None]]:
        store = self._store
        creators = taking_work(store, Role.CREATOR, session)
        in_hand = sum(store.queue.by_worker(TaskKind.CREATE, session).values())
        places = places_at_creators(len(creators), in_hand)
        if not places:
            return []
        # An image that is being built is waited for; should its task fail, the next round builds it anew.
        built = store.queue.images_in_hand(session)
        waiting = store.queue.waiting(TaskKind.CREATE, per_lane=places, without=built, session=session)
        chosen = in_turn(waiting, store.queue.standings(TaskKind.CREATE, session), one_an_image=True)
        return [(task, None) for task in islice(chosen, places)]

    def _writes(self, session: Any) -> list[tuple[Waiting, str]]:
        store = self._store
        writers = taking_work(store, Role.WRITER, session)
        in_hand = store.queue.by_worker(TaskKind.WRITE, session)
        places = places_at_writers([WriterLoad(name, in_hand.get(name, 0)) for name in writers])
        if not places:
            return []
        waiting = store.queue.waiting(TaskKind.WRITE, per_lane=len(places), session=session)
        chosen = in_turn(waiting, store.queue.standings(TaskKind.WRITE, session))
        return list(zip(chosen, places, strict=False))

    def _hand_out(self, kind: TaskKind, chosen: Sequence[tuple[Waiting, str | None]], session: Any) -> int:
        store = self._store
        lines = []
        for waiting, worker in chosen:
            order = store.orders.get(waiting.order_id, session)
            _, task = store.tasks.apply(waiting.task_id, self._released_to(worker), session)
            if isinstance(task, Task):
                lines.append(task_line(order, task))
        store.outbox.add(lines, session)
        store.queue.served(kind, {task.channel for task, _ in chosen}, store.clock(), session)
        return len(chosen)

    def _released_to(self, worker: str | None) -> Any:
        def decide(task: Task) -> Task | Refused:
            why = f"for {worker}" if worker else ""
            moved = move(task, TaskEvent.RELEASE, who=WHO, at=self._store.clock(), why=why)
            return replace(moved, worker=worker) if isinstance(moved, Task) else moved

        return decide

    def _rebuilding(self, task: Task) -> Task | Refused:
        why = "the warehouse keeps its image no more"
        return move(task, TaskEvent.REBUILD, who=WHO, at=self._store.clock(), why=why)

    def _reusing(self, kept: Any) -> Any:
        def decide(task: Task) -> Task | Refused:
            why = "the image is kept from an earlier order"
            moved = move(task, TaskEvent.REUSE, who=WHO, at=self._store.clock(), why=why)
            return replace(moved, outcome=kept) if isinstance(moved, Task) else moved

        return decide
