"""Whose turn it is: which waiting tasks go to the broker next, and to which writer. Pure.

A queue of RabbitMQ is first in, first out: what is urgent would stand behind all that was sent before it. So
tasks wait in the database and go to the broker only as far as workers can take them soon. The next one is

1. of the highest priority that waits;
2. inside it, of the channel (the client whose share it is) that has the fewest tasks in hand; among equals of
   the one whose turn was longest ago, where a channel that is new begins to count when its task came;
3. inside the channel, the one that was ordered first.

So no channel can starve another of its priority, however much it orders. Everything that the choice needs is
in the database: it holds after a restart, and for several schedulers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

CREATES_AHEAD = 1
"""Tasks in the creators' shared queue beyond one for each creator, so that none pauses between two images."""

CARDS_A_WRITER = 1
"""Write tasks that a writer has at once. It has one slot: a second task might wait for it for days."""


class Priority(IntEnum):
    """How urgent an order is; a higher one goes first, always."""

    LOW = -1
    NORMAL = 0
    HIGH = 1
    URGENT = 2

    @property
    def label(self) -> str:
        """As people and the API write it: ``high``."""
        return self.name.lower()


@dataclass(frozen=True)
class Waiting:
    """A task that may go to the broker."""

    task_id: str
    order_id: str
    order_number: int  # counts orders as they came, whatever the clocks of the schedulers say
    unit: int
    priority: Priority
    channel: str
    image_digest: str
    ready_at: datetime  # since when it may go
    work_bytes: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """First come, first served."""
        return (self.order_number, self.unit)


@dataclass(frozen=True)
class Standing:
    """What a channel has had."""

    in_hand: int = 0  # tasks that are at the broker or at workers
    served_at: datetime | None = None  # when its last task went to the broker


@dataclass(frozen=True)
class WriterLoad:
    """A writer that may get work."""

    username: str
    tasks: int  # write tasks that it has and that are not done


def channel_of(*, client: str, owner: str, orders_for_others: bool) -> str:
    """Whose share of the workers an order takes.

    It is that of the client whom somebody orders for who orders for several; else the account's own, so that
    nobody gets a larger share by inventing clients.
    """
    return client.strip().casefold() if orders_for_others and client.strip() else owner


def in_turn(
    waiting: Iterable[Waiting], standings: Mapping[str, Standing], *, one_an_image: bool = False
) -> Iterator[Waiting]:
    """The waiting tasks in the order in which they go, as if workers came for one after another.

    Args:
        waiting: of one kind, in any order.
        standings: of the channels; one that is absent has had nothing.
        one_an_image: leave out all tasks of an image but the first: they wait for what it makes.
    """
    lanes: dict[Priority, dict[str, list[Waiting]]] = {}
    for task in sorted(waiting, key=lambda task: task.place, reverse=True):
        lanes.setdefault(task.priority, {}).setdefault(task.channel, []).append(task)
    in_hand = {channel: standing.in_hand for channel, standing in standings.items()}
    turns: dict[str, int] = {}
    images: set[str] = set()

    def rank(lane: Sequence[Waiting]) -> tuple[int, int, datetime, tuple[int, int], str]:
        first = lane[-1]
        served_at = standings.get(first.channel, Standing()).served_at
        since = max(served_at, first.ready_at) if served_at else first.ready_at
        return (in_hand.get(first.channel, 0), turns.get(first.channel, 0), since, first.place, first.task_id)

    count = 0
    for priority in sorted(lanes, reverse=True):
        channels = lanes[priority]
        while channels:
            lane = min(channels.values(), key=rank)
            task = lane.pop()
            if not lane:
                del channels[task.channel]
            if one_an_image and task.image_digest in images:
                continue
            images.add(task.image_digest)
            count += 1
            turns[task.channel] = count
            in_hand[task.channel] = in_hand.get(task.channel, 0) + 1
            yield task


def places_at_creators(creators: int, in_hand: int) -> int:
    """How many create tasks may go to the broker now, with ``creators`` that take work."""
    return max(0, creators + CREATES_AHEAD - in_hand) if creators else 0


def places_at_writers(writers: Sequence[WriterLoad]) -> list[str]:
    """A writer's name for each write task that may go to the broker now; the least busy first."""
    places = [(taken, writer.username) for writer in writers for taken in range(writer.tasks, CARDS_A_WRITER)]
    return [username for _, username in sorted(places)]
