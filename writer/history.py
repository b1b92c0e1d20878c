"""How fast cards of each kind were on this host, and which card is much slower than its kind.

A worn card, a counterfeit with a slow memory, a bad contact: the bytes are right, and the next ones come at a
fifth of the speed. One number can't tell: a card of 10 MB/s is fine where all of its kind are so. So each
card is compared with those of its model and size before it.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected

LEAST_CARDS = 3
"""So many cards of a kind must have been written before one is compared with them."""

KEPT_CARDS = 100
"""Of each kind; the newest."""

SLOW_PER_CENT = 50
"""Of the median of its kind: cards of one kind differ by a third at most."""


@dataclass(frozen=True)
class CardSpeed:
    """Of one card; bytes a second, the median of its pieces."""

    write: int
    read: int


class SpeedHistory:
    """The speeds, in one file that the writers of a host share.

    Args:
        file: where they are.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, kind: str, speed: CardSpeed) -> str:
        """Keeps the speed of a card of a kind.

        Returns:
            What is wrong with it, for people; empty: it is as fast as others, or they are not known.
        """
        with self._locked():
            kinds = self._read()
            others = kinds.get(kind, [])
            kinds[kind] = [*others, speed][-KEPT_CARDS:]
            self._write(kinds)
        return _judge(others, speed)

    def _read(self) -> dict[str, list[CardSpeed]]:
        try:
            kinds = json.loads(self._file.read_bytes())
            return {
                kind: [wire.from_wire(CardSpeed, one) for one in speeds] for kind, speeds in kinds.items()
            }
        except (FileNotFoundError, ValueError, AttributeError, TypeError, MessageRejected):
            return {}  # it begins anew: no card is worse for that

    def _write(self, kinds: dict[str, list[CardSpeed]]) -> None:
        part = self._file.with_suffix(".part")
        with part.open("w") as stream:
            json.dump({kind: [wire.to_wire(one) for one in speeds] for kind, speeds in kinds.items()}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _judge(others: list[CardSpeed], speed: CardSpeed) -> str:
    if len(others) < LEAST_CARDS:
        return ""
    slow = []
    for verb, own, usual in (
        ("takes", speed.write, statistics.median(other.write for other in others)),
        ("gives", speed.read, statistics.median(other.read for other in others)),
    ):
        if own * 100 < usual * SLOW_PER_CENT:
            slow.append(f"it {verb} {own / 10**6:.1f} MB/s, others of its kind {usual / 10**6:.1f}")
    return f"The card is much slower than its kind: {' and '.join(slow)}." if slow else ""
