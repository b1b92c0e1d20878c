"""One write task: get the image, wait for a card, write it, prove it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from cardshop.contract.errors import CardFailed, NoSpace
from cardshop.contract.events import Card, CardWritten, Phase
from cardshop.contract.tasks import Claim, WriteTask
from cardshop.image_format import Manifest
from cardshop.warehouse_client import Warehouse
from writer import guard
from writer.card import CardImage, Observe
from writer.image_cache import CachedImage, ImageCache
from writer.ledger import Ledger, Record, Verdict
from writer.slots import LOOK_SECONDS, Inserted, Pause, Slot

TELL_AGAIN_SECONDS = 20.0
"""That a card is waited for is told in this interval: a writer that has lost its task hears so then."""

log = structlog.get_logger(__name__)


class Teller(Protocol):
    """Whom the work tells how it goes; the runtime's reporter is one."""

    @property
    def cancelled(self) -> bool:
        """Whether the work was told to stop."""

    def progress(self, phase: Phase, done: int, total: int, unit: str = "bytes") -> None:
        """How far a phase is."""

    def log(self, *lines: str) -> None:
        """Lines for the task's log."""

    def waiting(self, slot: str, why: str) -> None:
        """A card is waited for; ``why`` says what to do."""


@dataclass(frozen=True)
class Workplace:
    """What a writer works with."""

    slot: Slot
    ledger: Ledger
    cache: ImageCache
    ca_file: Path  # of the private CA, for the warehouse
    pause: Pause
    clock: Callable[[], float] = time.monotonic


@dataclass
class _Stopwatch:
    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        begun = self.clock()
        yield
        self.seconds[phase.value] = round(self.clock() - begun, 3)


def write_card(place: Workplace, task: WriteTask, claim: Claim, teller: Teller) -> CardWritten:
    """Writes the task's image to a card in the slot and reads it back.

    The verdict on the card is in the ledger before this returns. A card that this very attempt verified
    before (its report was lost) is read again, and not written.

    Raises:
        CardRefused: the card in the slot must not be written to.
        CardFailed: it did not take the bytes or gave back others; the next try waits for another card.
        ImageDamaged, NotFound, NotAllowed, Unavailable: the image can't be had.
    """
    watch = _Stopwatch(place.clock)
    with _image(place, task, claim, teller, watch) as image:
        with watch.timed(Phase.WAIT):
            inserted = _wait_for_card(place, task, teller)
        try:
            _fill(place, task, image, inserted, teller, watch)
        except CardFailed as error:
            place.ledger.keep(_record(task, inserted.card, Verdict.FAILED, error.sentence))
            raise
        place.ledger.keep(_record(task, inserted.card, Verdict.GOOD))
        return CardWritten(
            task.image_digest, place.slot.name, inserted.card, image.manifest.mapped_bytes, watch.seconds
        )


@contextmanager
def _image(
    place: Workplace, task: WriteTask, claim: Claim, teller: Teller, watch: _Stopwatch
) -> Iterator[CachedImage]:
    access = claim.warehouse

    def fetch(folder: Path) -> Manifest:
        with (
            watch.timed(Phase.DOWNLOAD),
            Warehouse(access.host, access.port, place.ca_file, access.token) as warehouse,
        ):
            return _downloaded(warehouse, task.image_digest, folder, teller)

    with place.cache.image(task.image_digest, fetch) as image:
        yield image


def _downloaded(warehouse: Warehouse, digest: str, folder: Path, teller: Teller) -> Manifest:
    try:
        return warehouse.download(
            digest, folder, _observing(teller, Phase.DOWNLOAD), lambda: teller.cancelled
        )
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NoSpace(
            "The disk of the writer's cache is full.", hint="Make room, or lower CARDSHOP_CACHE_BYTES."
        ) from error


def _wait_for_card(place: Workplace, task: WriteTask, teller: Teller) -> Inserted:
    told, told_at = "", 0.0
    while True:
        inserted = place.slot.inserted()
        why = _why_wait(place, task, inserted)
        if inserted and not why:
            return inserted
        if why != told:
            log.info("waiting for a card", slot=place.slot.name, why=why)
        if why != told or place.clock() - told_at >= TELL_AGAIN_SECONDS:
            teller.waiting(place.slot.name, why)
            told, told_at = why, place.clock()
        place.pause(LOOK_SECONDS)


def _why_wait(place: Workplace, task: WriteTask, inserted: Inserted | None) -> str:
    """What the technician does; empty when the card in the slot can be used."""
    name = place.slot.name
    wanted = f"a {task.medium} card (card {task.unit} of {task.units})"
    if inserted is None:
        return f"Put {wanted} into slot {name}."
    record = place.ledger.record_of(inserted.card)
    if record is None or record.is_good_for(task.task_id, task.attempt):
        return ""
    if record.verdict == Verdict.GOOD:
        return f"Take the written card {inserted.card.serial} out of slot {name} and put in {wanted}."
    return f"Take the failed card {inserted.card.serial} out of slot {name} and put in {wanted}. {record.why}"


def _fill(
    place: Workplace,
    task: WriteTask,
    image: CachedImage,
    inserted: Inserted,
    teller: Teller,
    watch: _Stopwatch,
) -> None:
    record = place.ledger.record_of(inserted.card)
    known = record is not None and record.is_good_for(task.task_id, task.attempt)
    with guard.opened(inserted, image.manifest.bytes) as card:
        teller.log(f"Card {inserted.card.serial} of {inserted.card.size_bytes} bytes in {place.slot.name}.")
        if not card.direct:
            teller.log("This file system has no direct I/O: what is read back may come from memory.")
        on_card = CardImage(card, image.manifest, image.file)
        if known:
            teller.log("This card was verified before the report got lost; it is read once more.")
            with watch.timed(Phase.READ_BACK):
                on_card.verify(_observing(teller, Phase.READ_BACK))
            return
        with watch.timed(Phase.WRITE):
            on_card.write(_observing(teller, Phase.WRITE))
        with watch.timed(Phase.READ_BACK):
            on_card.read_back(_observing(teller, Phase.READ_BACK))


def _observing(teller: Teller, phase: Phase) -> Observe:
    def observe(done: int, total: int) -> None:
        teller.progress(phase, done, total)

    return observe


def _record(task: WriteTask, card: Card, verdict: Verdict, why: str = "") -> Record:
    return Record(card, verdict.value, task.task_id, task.attempt, task.image_digest, why)
