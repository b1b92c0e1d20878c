"""What the writer knows of the card in its slot: it is good and must not be overwritten, or it failed.

One file in the writer's state folder, for a slot has one card. It is on the disk before the outcome is told,
so it survives whatever kills the writer. It is forgotten when the card is taken out.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cardshop.contract import wire
from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import Card


class Verdict(StrEnum):
    """How the work on a card ended."""

    GOOD = "good"  # every mapped byte was read back and was right
    FAILED = "failed"  # it did not take the bytes, or gave back others


@dataclass(frozen=True)
class Record:
    """The verdict on one card."""

    card: Card
    verdict: str  # a Verdict
    task_id: str
    attempt: int
    image_digest: str
    why: str = ""  # it failed, or what is to be said of a good one

    def is_good_for(self, task_id: str, attempt: int) -> bool:
        """Whether it is the verified card of this very attempt."""
        return self.verdict == Verdict.GOOD and (self.task_id, self.attempt) == (task_id, attempt)


class Ledger:
    """The record of the slot's card, in a folder that is this writer's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file = folder / "card.json"

    def record_of(self, card: Card) -> Record | None:
        """What is known of ``card``."""
        record = self._read()
        return record if record and record.card == card else None

    def keep(self, record: Record) -> None:
        """Remembers ``record``, whatever happens next."""
        part = self._file.with_suffix(".part")
        with part.open("w") as stream:
            json.dump(wire.to_wire(record), stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._file)
        self._sync()

    def forget_all_but(self, card: Card | None) -> None:
        """The slot has ``card`` now, or none: what is known of another is of no use."""
        record = self._read()
        if record and record.card != card:
            self._file.unlink(missing_ok=True)
            self._sync()

    def _read(self) -> Record | None:
        try:
            return wire.from_wire(Record, json.loads(self._file.read_bytes()))
        except (FileNotFoundError, ValueError, MessageRejected):
            return None

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
