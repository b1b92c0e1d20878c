"""The technician's side of the chaos: blank cards into free slots, cards that are told good out of them.

Each card that is taken out is compared with its image at once, by its bytes; then its file is removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardshop.image_format import Manifest
from cardshop.stack.cards import Card, Cards
from cardshop.transfer.checking import wrong_runs

CARD_BYTES = 7_948_206_080
"""Of an ordinary 8 GB card; its file is sparse."""


@dataclass(frozen=True)
class Seen:
    """What is on a card: the image that was expected on it, and whether it is whole."""

    serial: str
    digest: str
    whole: bool


class Technician:
    """Serves the slots of one stack. ``images``: the warehouse's folder."""

    def __init__(self, cards: Cards, images: Path) -> None:
        self._cards = cards
        self._images = images
        self.seen: list[Seen] = []

    def fill(self) -> None:
        """A blank card into each slot that has none."""
        for slot in self._cards.slots:
            if self._cards.card_in(slot) is None:
                self._cards.insert(slot, CARD_BYTES)

    def collect(self, order: dict[str, Any]) -> None:
        """Takes out the cards of the order that were told good, and looks at them."""
        for task in order["tasks"]:
            if task["kind"] != "write" or task["state"] != "succeeded":
                continue
            card = self._cards.card_in(task["outcome"]["slot"])
            if card and card.serial == task["outcome"]["card"]["serial"]:
                shelved = self._cards.remove(task["outcome"]["slot"])
                self._look(shelved, order["image_digest"])
                shelved.path.unlink()

    def look_at_the_rest(self, digests: Iterable[str]) -> None:
        """Compares the cards that are still in their slots with every image: none may hold one unnoticed."""
        for slot in self._cards.slots:
            card = self._cards.card_in(slot)
            if card is None:
                continue
            for digest in digests:
                if self._has_image(digest) and self._holds(card, digest):
                    self.seen.append(Seen(card.serial, digest, whole=True))

    def _look(self, card: Card, digest: str) -> None:
        self.seen.append(Seen(card.serial, digest, whole=self._holds(card, digest)))

    def _holds(self, card: Card, digest: str) -> bool:
        manifest = Manifest.from_file(self._images / f"{digest}.json")
        with card.path.open("rb") as file:
            return next(wrong_runs(file.fileno(), manifest.chunks_of_every_card()), None) is None

    def _has_image(self, digest: str) -> bool:
        return (self._images / f"{digest}.json").exists()
