"""When an order will be ready, from what past work of its size took. Pure.

**One task.** Work of ``b`` bytes takes

    seconds(b) = factor * (fixed + b / rate) + pause

``fixed`` and ``rate`` are the kind's first guess (:data:`GUESSES`). ``factor`` is the median of how much
longer or shorter than the guess the past tasks took that are nearest in size (:data:`NEAREST` of the newest
:data:`REMEMBERED`), without the time that they waited for a card; ``pause`` is the median of that time.
Without a past ``factor`` is 1 and ``pause`` 0: the guess alone. Medians, since one card that waited over a
weekend must not make every order late.

**One order.** With C creators and W writers that take work,

    build = (rest of what creators have + images whose turn is before its own) / C + its own image
    others = (rest of the others' cards in hand + others' cards whose turn is before its last one) / W
    own = its own cards / min(W, how many they are), at least the longest of them
    ready = now + max(build, others) + own

A task in hand has the rest of its seconds left, at least a tenth of them. An image that is there costs
nothing; one that is built for another order costs what is left of that build. Orders that come later and go
first (a higher priority, a channel that had less) make it later than this; workers that come make it earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scheduler.domain.tasks import TaskKind

BASE_BYTES = 700_000_000
"""Of an image beside its contents: what is mapped of the boot and the root partition, about."""

REMEMBERED = 200
NEAREST = 20
LEAST_LEFT = 0.1
"""Of a task's seconds: a task that takes longer than expected is nearly done, as far as anybody knows."""


@dataclass(frozen=True)
class Guess:
    """What a task takes as long as nothing is known."""

    fixed_seconds: float
    bytes_a_second: float


GUESSES = {
    TaskKind.CREATE: Guess(30.0, 20e6),  # fetched over a fair line, built, checked, uploaded
    TaskKind.WRITE: Guess(20.0, 10e6),  # a card takes about 20 MB/s, and everything is read back
}


@dataclass(frozen=True)
class Past:
    """A task that was done."""

    work_bytes: int
    seconds: float  # without those of the pause
    pause_seconds: float = 0.0  # it waited for a card


@dataclass(frozen=True)
class Work:
    """A task that is not done."""

    order_id: str
    work_bytes: int
    begun_seconds_ago: float | None = None  # None: no worker has begun it


@dataclass(frozen=True)
class Ahead:
    """What lies between an order and its end, for :func:`seconds_to_ready`.

    Each list is of tasks that are not done. ``images`` and ``cards`` are those whose turn is before the
    order's own last one.
    """

    creators: int
    writers: int
    images_in_hand: Sequence[Work]
    images: Sequence[Work]  # of others, that wait
    own_image: Work | None  # None: it is there
    cards_in_hand: Sequence[Work]  # of others
    cards: Sequence[Work]  # of others, that wait
    own_cards: Sequence[Work]


def duration(kind: TaskKind, past: Iterable[Past]) -> Callable[[int], float]:
    """A function from bytes to the seconds that a task of the kind takes; see the module for the formula.

    Args:
        kind: of the task.
        past: of that kind, the newest first.
    """
    guess = GUESSES[kind]
    remembered = [done for _, done in zip(range(REMEMBERED), past, strict=False) if done.work_bytes > 0]

    def guessed(work_bytes: int) -> float:
        return guess.fixed_seconds + work_bytes / guess.bytes_a_second

    def seconds(work_bytes: int) -> float:
        nearest = sorted(remembered, key=lambda done: abs(done.work_bytes - work_bytes))[:NEAREST]
        if not nearest:
            return guessed(work_bytes)
        factor = median(done.seconds / guessed(done.work_bytes) for done in nearest)
        return factor * guessed(work_bytes) + median(done.pause_seconds for done in nearest)

    return seconds


def seconds_to_ready(
    ahead: Ahead, image_seconds: Callable[[int], float], card_seconds: Callable[[int], float]
) -> float | None:
    """How long an order takes from now; None when no worker is there that could do what is left."""
    build = 0.0
    if ahead.own_image:
        if not ahead.creators:
            return None
        before = _left(ahead.images_in_hand, image_seconds) + _left(ahead.images, image_seconds)
        build = before / ahead.creators + _left([ahead.own_image], image_seconds)
    if not ahead.own_cards:
        return build
    if not ahead.writers:
        return None
    others = _left(ahead.cards_in_hand, card_seconds) + _left(ahead.cards, card_seconds)
    own = [_left([card], card_seconds) for card in ahead.own_cards]
    side_by_side = min(ahead.writers, len(own))
    return max(build, others / ahead.writers) + max([sum(own) / side_by_side, *own])


def _left(tasks: Iterable[Work], seconds: Callable[[int], float]) -> float:
    left = 0.0
    for task in tasks:
        whole = seconds(task.work_bytes)
        left += max(LEAST_LEFT * whole, whole - (task.begun_seconds_ago or 0.0))
    return left
