"""An order's place in the queue, and when it will be ready.

The formula is in :mod:`scheduler.domain.estimates`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.dispatching import Waiting, in_turn
from scheduler.domain.estimates import Ahead, Work, duration, seconds_to_ready
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task, TaskKind
from scheduler.shop.dispatching import taking_work
from scheduler.store.past_work import InHand
from scheduler.store.store import Store

_MOVES = frozenset({OrderState.ACCEPTED, OrderState.BUILDING, OrderState.BUILT, OrderState.WRITING})


@dataclass(frozen=True)
class Place:
    """Where an order stands among those that wait."""

    kind: TaskKind  # whose workers it waits for
    place: int  # 1: it is next
    orders: int  # that wait for them, with itself


@dataclass(frozen=True)
class Expectation:
    """What can be told of an order's end."""

    place: Place | None  # None: nothing of it waits for a worker
    ready_at: datetime | None  # with all its cards; None: nobody can tell
    why: str  # why nobody can; else empty


NOTHING = Expectation(None, None, "")
"""Of an order at its end."""


def expect(store: Store, order: Order, tasks: Sequence[Task]) -> Expectation:
    """The order's place, and when all of it will be done.

    Args:
        store: the shop.
        order: any.
        tasks: the order's, the image first.
    """
    if order.state not in _MOVES or all(task.state is TaskState.SUCCEEDED for task in tasks):
        return NOTHING
    if order.hold:
        return Expectation(None, None, "It is on hold.")
    return _Look(store, tasks).expectation()


class _Look:
    """One look at the queues, from where an order stands."""

    def __init__(self, store: Store, tasks: Sequence[Task]) -> None:
        self._store = store
        self._now = store.clock()
        self._image, self._order_id = tasks[0], tasks[0].order_id
        self._own_cards = [
            task for task in tasks if task.kind is TaskKind.WRITE and task.state is not TaskState.SUCCEEDED
        ]
        takers = taking_work(store)
        self._creators, self._writers = takers[Role.CREATOR], takers[Role.WRITER]

    def expectation(self) -> Expectation:
        images_in_hand, images, own_image, place = self._images()
        cards_in_hand, cards, own_cards, card_place = self._cards()
        ahead = Ahead(
            creators=len(self._creators),
            writers=len(self._writers),
            images_in_hand=images_in_hand,
            images=images,
            own_image=own_image,
            cards_in_hand=cards_in_hand,
            cards=cards,
            own_cards=own_cards,
        )
        seconds = seconds_to_ready(ahead, *self._durations())
        place = place or card_place
        if seconds is None:
            missing = "creator" if own_image and not self._creators else "writer"
            return Expectation(place, None, f"No {missing} is there that takes work.")
        return Expectation(place, self._now + timedelta(seconds=seconds), "")

    def _images(self) -> tuple[list[Work], list[Work], Work | None, Place | None]:
        if self._image.state is TaskState.SUCCEEDED:
            return [], [], None, None
        in_hand = self._store.past_work.in_hand(TaskKind.CREATE)
        digest = self._image.image_digest
        own = next((task for task in in_hand if task.image_digest == digest), None)
        others = [self._begun(task) for task in in_hand if task is not own]
        if own:
            return ([] if own.begun_at else others), [], self._begun(own), None
        turns = self._turns(TaskKind.CREATE)
        before: list[Waiting] = []
        for task in turns:
            if task.image_digest == digest:
                return others, _waiting(before), _work(task), _place(TaskKind.CREATE, before, turns)
            before.append(task)
        # It was handed out, or built, since the order was read.
        return others, [], Work(self._order_id, self._image.work_bytes), None

    def _cards(self) -> tuple[list[Work], list[Work], list[Work], Place | None]:
        in_hand = self._store.past_work.in_hand(TaskKind.WRITE)
        others = [self._begun(task) for task in in_hand if task.order_id != self._order_id]
        begun = {task.task_id: self._begun(task) for task in in_hand}
        own = [begun.get(task.id, Work(self._order_id, task.work_bytes)) for task in self._own_cards]
        left = {task.id for task in self._own_cards if task.state is TaskState.PENDING}
        if not left or self._image.state is not TaskState.SUCCEEDED:
            return others, [], own, None
        turns = self._turns(TaskKind.WRITE)
        before: list[Waiting] = []
        place = None
        for task in turns:
            if task.order_id != self._order_id:
                before.append(task)
                continue
            place = place or _place(TaskKind.WRITE, before, turns)
            left.discard(task.task_id)
            if not left:
                break
        return others, _waiting(before), own, place

    def _turns(self, kind: TaskKind) -> list[Waiting]:
        queue = self._store.queue
        waiting = queue.waiting(kind, per_lane=None)
        standings = queue.standings(kind, queue.loads()[kind])
        return list(in_turn(waiting, standings, one_an_image=kind is TaskKind.CREATE))

    def _durations(self) -> list[Callable[[int], float]]:
        return [
            duration(kind, self._store.past_work.done(kind)) for kind in (TaskKind.CREATE, TaskKind.WRITE)
        ]

    def _begun(self, task: InHand) -> Work:
        ago = None if task.begun_at is None else (self._now - task.begun_at).total_seconds()
        return Work(task.order_id, task.work_bytes, ago)


def _place(kind: TaskKind, before: Iterable[Waiting], turns: Iterable[Waiting]) -> Place:
    ahead = {task.order_id for task in before}
    return Place(kind, len(ahead) + 1, len({task.order_id for task in turns}))


def _work(task: Waiting) -> Work:
    return Work(task.order_id, task.work_bytes)


def _waiting(tasks: Iterable[Waiting]) -> list[Work]:
    return [_work(task) for task in tasks]
