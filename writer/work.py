"""One write task: get the image, wait for a card, write it, prove it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from cardshop.contract.errors import CardFailed, CardRefused, NoSpace
from cardshop.contract.events import Card, CardWritten, Phase
from cardshop.contract.tasks import Claim, WriteTask
from cardshop.warehouse_client import Warehouse
from writer.aside import Aside, Silent
from writer.filling import Filled, Stopwatch, fill, look
from writer.history import CardSpeed, SpeedHistory
from writer.image_cache import CachedImage, Fetch, ImageCache
from writer.ledger import Ledger, Record, Verdict
from writer.passport import content_of_card
from writer.slots import LOOK_SECONDS, PATIENCE_SECONDS, Identity, Inserted, Pause, Slot

TRY_AGAIN_SECONDS = 2.0
"""A card that could not be used is tried again after that: its switch may move, or who uses it may end."""

INTERRUPTIONS = 3
"""Times that one card may be lost in the middle of its writing before it counts as failed."""

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
    speeds: SpeedHistory  # of the cards on this host
    aside: Aside  # where the card is touched
    pause: Pause
    clock: Callable[[], float] = time.monotonic


def write_card(place: Workplace, task: WriteTask, claim: Claim, teller: Teller) -> CardWritten:
    """Writes the task's image to a card in the slot and reads it back.

    A card that may not be written to, that fails, hangs or is taken out in the middle does not fail the task:
    it is told why, the card is marked, and another one is waited for. The image is downloaded meanwhile, if
    it is not here: each chunk goes onto the card when it has arrived and was checked. The verdict on the card
    is in the ledger before this returns. A card that this very attempt verified before (its report was lost)
    is read again, and not written.

    Raises:
        ImageDamaged, NotFound, NotAllowed, Unavailable: the image can't be had.
    """
    watch = Stopwatch(place.clock)
    with contextlib.ExitStack() as stack:
        with watch.timed(Phase.DOWNLOAD):
            image = stack.enter_context(place.cache.image(task.image_digest, _fetch(place, task, claim)))
        stack.callback(place.aside.end)
        return _Unit(place, task, claim, image, teller, watch).written()


def _fetch(place: Workplace, task: WriteTask, claim: Claim) -> Fetch:
    access = claim.warehouse

    def fetch(folder: Path, ending: threading.Event) -> None:
        def pause(seconds: float) -> None:
            ending.wait(seconds)

        def observe(_done: int, _total: int) -> None:
            """The marks beside the image tell it, to all writers of the host."""

        with Warehouse(access.host, access.port, place.ca_file, access.token, sleep=pause) as warehouse:
            try:
                warehouse.download(task.image_digest, folder, observe, ending.is_set)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise NoSpace(
                    "The disk of the writer's cache is full.",
                    hint="Make room, or lower CARDSHOP_CACHE_BYTES.",
                ) from error

    return fetch


class _Unit:
    """One card to be made: cards are tried until one is good."""

    def __init__(
        self,
        place: Workplace,
        task: WriteTask,
        claim: Claim,
        image: CachedImage,
        teller: Teller,
        watch: Stopwatch,
    ) -> None:
        self._place = place
        self._task = task
        self._image = image
        self._manifest_sha256 = hashlib.sha256(image.document).hexdigest()
        self._content = content_of_card(image.manifest, self._manifest_sha256, claim.passport)
        self._teller = teller
        self._watch = watch
        self._begun = False  # the card that is tried was written to
        self._interrupted: dict[Identity, int] = {}
        self._unusable: tuple[Identity | None, str, float] = (None, "", 0.0)  # which, why, until when

    def written(self) -> CardWritten:
        self._tell_arrived()
        while True:
            with self._watch.timed(Phase.WAIT):
                inserted = self._wait_for_card()
            filled = self._tried(inserted)
            if filled is not None:
                self._place.ledger.keep(_record(self._task, inserted.card, Verdict.GOOD, ""))
                if note := self._compared(inserted, filled):
                    self._place.ledger.keep(_record(self._task, inserted.card, Verdict.GOOD, note))
                return CardWritten(
                    self._task.image_digest,
                    self._place.slot.name,
                    inserted.card,
                    self._image.manifest.mapped_bytes,
                    self._watch.plus(filled.seconds),
                    manifest_sha256=self._manifest_sha256,
                    host=platform.node(),
                    retries=filled.retries,
                    write_speed=filled.write_speed,
                    read_speed=filled.read_speed,
                    note=note,
                    kept_bytes=filled.kept_bytes,
                )

    def _compared(self, inserted: Inserted, filled: Filled) -> str:
        """What is said of a good card that is much slower than its kind."""
        if filled.write_speed is None or filled.read_speed is None:
            return ""
        speed = CardSpeed(filled.write_speed.median, filled.read_speed.median)
        try:
            note = self._place.speeds.add(inserted.kind, speed)
        except OSError as error:  # a full disk, perhaps: the card is no worse for that
            log.warning("speeds of cards can't be kept", error=error.strerror)
            return ""
        if note:
            log.warning("slow card", slot=self._place.slot.name, card=inserted.card.serial, why=note)
            self._teller.log(note)
        return note

    def _tried(self, inserted: Inserted) -> Filled | None:
        """How it went when the card is good; otherwise it is marked, or tried again in a moment."""
        record = self._place.ledger.record_of(inserted.card)
        known = record is not None and record.is_good_for(self._task.task_id, self._task.attempt)
        self._begun = False
        image = self._image
        try:
            filled: Filled = self._place.aside.call(
                fill, inserted, self._content, image.folder, known, heard=self._hear
            )
            return filled
        except CardFailed as error:
            self._mark_failed(inserted, error)
        except Silent:
            self._mark_failed(inserted, _hangs(inserted))
        except CardRefused as error:
            self._refused(inserted, error)
        return None

    def _hear(self, kind: str, *content: Any) -> None:
        if kind == "begun":
            self._begun = True
        elif kind == "awaits":
            self._image.check()
            self._tell_arrived()
        elif kind == "log":
            self._teller.log(*content)
        else:
            self._teller.progress(*content)

    def _tell_arrived(self) -> None:
        arrived, total = self._image.arrived_bytes(), self._image.manifest.mapped_bytes
        if arrived < total:
            self._teller.progress(Phase.DOWNLOAD, arrived, total)

    def _refused(self, inserted: Inserted, error: CardRefused) -> None:
        if self._begun:
            self._teller.log(error.sentence)
            times = self._interrupted[inserted.identity] = self._interrupted.get(inserted.identity, 0) + 1
            if times >= INTERRUPTIONS:
                self._mark_failed(inserted, error)
                return
        until = self._place.clock() + TRY_AGAIN_SECONDS
        self._unusable = (inserted.identity, f"{error.sentence} {error.hint}", until)

    def _mark_failed(self, inserted: Inserted, error: CardFailed | CardRefused) -> None:
        log.warning("card failed", slot=self._place.slot.name, card=inserted.card.serial, why=error.sentence)
        self._teller.log(error.sentence, error.hint)
        self._place.ledger.keep(_record(self._task, inserted.card, Verdict.FAILED, error.sentence))

    def _wait_for_card(self) -> Inserted:
        place, told, told_at = self._place, "", 0.0
        while True:
            self._image.check()
            inserted, why = self._look()
            if inserted and not why:
                return inserted
            if why != told:
                log.info("waiting for a card", slot=place.slot.name, why=why)
            if why != told or place.clock() - told_at >= TELL_AGAIN_SECONDS:
                self._teller.waiting(place.slot.name, why)
                told, told_at = why, place.clock()
            place.pause(LOOK_SECONDS)

    def _look(self) -> tuple[Inserted | None, str]:
        """What is in the slot, and what the technician does; empty when the card can be used."""
        place = self._place
        try:
            inserted, refused = place.aside.call(look, place.slot, self._image.manifest.bytes)
        except Silent:
            return None, f"The reader of slot {place.slot.name} hangs. Unplug it, and plug it in again."
        if inserted is None:
            self._unusable = (None, "", 0.0)
            return None, refused or f"Put {self._wanted()} into slot {place.slot.name}."
        identity, why, until = self._unusable
        if identity == inserted.identity and place.clock() < until:
            refused = refused or why
        return inserted, self._ended(inserted.card) or refused

    def _ended(self, card: Card) -> str:
        """What to do with a card whose verdict is known."""
        record = self._place.ledger.record_of(card)
        if record is None or record.is_good_for(self._task.task_id, self._task.attempt):
            return ""
        kind = "written" if record.verdict == Verdict.GOOD else "failed"
        sentence = f"Take the {kind} card {card.serial} out of slot {self._place.slot.name} and put in "
        return f"{sentence}{self._wanted()}. {record.why}".strip()

    def _wanted(self) -> str:
        return f"a {self._task.medium} card (card {self._task.unit} of {self._task.units})"


def _hangs(inserted: Inserted) -> CardFailed:
    return CardFailed(
        f"The card {inserted.card.serial} did not answer for {PATIENCE_SECONDS:.0f} seconds.",
        hint="Take it out; if the next one hangs too, the reader is broken.",
    )


def _record(task: WriteTask, card: Card, verdict: Verdict, why: str = "") -> Record:
    return Record(card, verdict.value, task.task_id, task.attempt, task.image_digest, why)
