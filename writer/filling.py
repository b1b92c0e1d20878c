"""What is done with a card itself, all of it in the process aside: look at it, fill it, read it back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cardshop.contract.errors import CardRefused
from cardshop.contract.events import Phase, Speed
from writer import guard
from writer.aside import Tell
from writer.card import CardImage, Observe
from writer.image_source import ImageSource
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

    def move(self, seconds: float, of: Phase, to: Phase) -> None:
        """Counts seconds of one phase as those of another."""
        self.seconds[of.value] = round(self.seconds[of.value] - seconds, 3)
        self.seconds[to.value] = round(self.seconds.get(to.value, 0.0) + seconds, 3)

    def plus(self, others: Mapping[str, float]) -> dict[str, float]:
        """With the seconds of others."""
        phases = [*self.seconds, *(phase for phase in others if phase not in self.seconds)]
        return {phase: round(self.seconds.get(phase, 0.0) + others.get(phase, 0.0), 3) for phase in phases}


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

    seconds: dict[str, float]  # by phase; those that the card waited for the image are of the download
    retries: int
    write_speed: Speed | None  # None: it was read only
    read_speed: Speed | None
    kept_bytes: int  # they were on the card already


def fill(tell: Tell, inserted: Inserted, content: CardContent, folder: Path, known_good: bool) -> Filled:
    """Writes image and passport to the card and reads it back; one that is known to be good is read only.

    The image may still be on its way into ``folder``. Tells ``("log", line)``, ``("progress", phase, done,
    total, unit)``, ``("begun",)`` before the first byte, and ``("awaits",)`` now and then while the card
    waits for the image.

    Raises:
        CardRefused: the card must not be written to, or was taken out or locked in the middle.
        CardFailed: it doesn't take the bytes or gives back others.
        ImageDamaged: the image file is not what its manifest says.
    """
    watch = Stopwatch(time.monotonic)
    with (
        guard.opened(inserted, content.manifest.bytes) as card,
        contextlib.closing(ImageSource(folder, content.manifest)) as image,
    ):
        tell("log", f"Card {inserted.card.serial} of {inserted.card.size_bytes} bytes.")
        if not card.direct:
            tell("log", "This file system has no direct I/O: what is read back may come from memory.")
        on_card = CardImage(card, content, image, lambda: tell("awaits"))
        if known_good:
            tell("log", "This card was verified before the report got lost; it is read once more.")
            with watch.timed(Phase.READ_BACK):
                on_card.verify(_observing(tell, Phase.READ_BACK))
        else:
            on_card.recognize()
            tell("begun")
            with watch.timed(Phase.CHECK):
                on_card.prove_capacity(_observing(tell, Phase.CHECK, "steps"))
            with watch.timed(Phase.WRITE):
                on_card.write(_observing(tell, Phase.WRITE))
            watch.move(min(image.waiting.seconds, watch.seconds[Phase.WRITE]), Phase.WRITE, Phase.DOWNLOAD)
            with watch.timed(Phase.READ_BACK):
                on_card.read_back(_observing(tell, Phase.READ_BACK))
            if on_card.kept_bytes:
                tell(
                    "log", f"{on_card.kept_bytes} bytes were on the card already, and were not written again."
                )
        if on_card.retried:
            tell("log", f"{on_card.retried} request(s) went through only in smaller pieces.")
    return Filled(
        watch.seconds, on_card.retried, on_card.writing.speed(), on_card.reading.speed(), on_card.kept_bytes
    )


def _observing(tell: Tell, phase: Phase, unit: str = "bytes") -> Observe:
    def observe(done: int, total: int) -> None:
        tell("progress", phase, done, total, unit)

    return observe


def _sentence(error: CardRefused) -> str:
    return f"{error.sentence} {error.hint}".strip()
