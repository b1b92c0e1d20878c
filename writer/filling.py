"""What is done with a card itself, all of it in the process aside: look at it, fill it, read it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cardshop.contract.errors import CardRefused
from cardshop.contract.events import Phase, Speed
from writer import guard
from writer.aside import Tell
from writer.card import CardImage, Observe
from writer.passport import CardContent
from writer.slots import Inserted, Slot


@dataclass
class Stopwatch:
    """Seconds by phase; a phase that comes again adds to its seconds."""

    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Adds the time that the block takes."""
        begun = self.clock()
        try:
            yield
        finally:
            past = self.seconds.get(phase.value, 0.0)
            self.seconds[phase.value] = round(past + self.clock() - begun, 3)


def look(slot: Slot, image_bytes: int) -> tuple[Inserted | None, str]:
    """The card in the slot, and what speaks against writing to it (empty when nothing does)."""
    try:
        inserted = slot.inserted()
    except CardRefused as error:
        return None, _sentence(error)
    refused = guard.refusal(inserted, image_bytes) if inserted else None
    return inserted, _sentence(refused) if refused else ""


@dataclass(frozen=True)
class Filled:
    """How a card was written and read back."""

    seconds: dict[str, float]  # by phase
    retries: int
    write_speed: Speed | None  # None: it was read only
    read_speed: Speed | None


def fill(tell: Tell, inserted: Inserted, content: CardContent, image: Path, known_good: bool) -> Filled:
    """Writes image and passport to the card and reads it back; one that is known to be good is read only.

    Tells ``("log", line)``, ``("progress", phase, done, total, unit)``, and ``("begun",)`` before the first
    byte.

    Raises:
        CardRefused: the card must not be written to, or was taken out or locked in the middle.
        CardFailed: it doesn't take the bytes or gives back others.
        ImageDamaged: the image file is not what its manifest says.
    """
    watch = Stopwatch(time.monotonic)
    with guard.opened(inserted, content.manifest.bytes) as card, image.open("rb", buffering=0) as file:
        tell("log", f"Card {inserted.card.serial} of {inserted.card.size_bytes} bytes.")
        if not card.direct:
            tell("log", "This file system has no direct I/O: what is read back may come from memory.")
        on_card = CardImage(card, content, file)
        if known_good:
            tell("log", "This card was verified before the report got lost; it is read once more.")
            with watch.timed(Phase.READ_BACK):
                on_card.verify(_observing(tell, Phase.READ_BACK))
        else:
            tell("begun")
            with watch.timed(Phase.CHECK):
                on_card.prove_capacity(_observing(tell, Phase.CHECK, "steps"))
            with watch.timed(Phase.WRITE):
                on_card.write(_observing(tell, Phase.WRITE))
            with watch.timed(Phase.READ_BACK):
                on_card.read_back(_observing(tell, Phase.READ_BACK))
        if on_card.retried:
            tell("log", f"{on_card.retried} request(s) went through only in smaller pieces.")
    return Filled(watch.seconds, on_card.retried, on_card.writing.speed(), on_card.reading.speed())


def _observing(tell: Tell, phase: Phase, unit: str = "bytes") -> Observe:
    def observe(done: int, total: int) -> None:
        tell("progress", phase, done, total, unit)

    return observe


def _sentence(error: CardRefused) -> str:
    return f"{error.sentence} {error.hint}".strip()
