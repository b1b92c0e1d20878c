"""Virtual slots and cards: a slot is a folder, the card in it a file of a card's true size.

The file's name is the card's serial number. A card that is taken out goes to the shelf, with what is on it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import Conflict, NotFound
from cardshop.stack.folder import StackFolder


@dataclass(frozen=True)
class Card:
    """A virtual card: its file, whose name is its serial number."""

    path: Path

    @property
    def serial(self) -> str:
        """The card's serial number."""
        return self.path.name

    @property
    def size_bytes(self) -> int:
        """The card's true size."""
        return self.path.stat().st_size


class Cards:
    """The slots and the shelf of one stack; ``slots`` are the names of its slots."""

    def __init__(self, folder: StackFolder, slots: Sequence[str]) -> None:
        self._folder = folder
        self.slots = slots

    def slot(self, name: str) -> Path:
        """The folder that is the slot. Raises NotFound."""
        if name not in self.slots:
            raise NotFound(f"There is no slot {name}; there are {', '.join(self.slots)}.")
        return self._folder.inside("slots", name)

    def card_in(self, slot: str) -> Card | None:
        """The card in a slot, None when it is empty. Raises NotFound."""
        return next((Card(path) for path in sorted(self.slot(slot).iterdir())), None)

    def insert(self, slot: str, size_bytes: int, *, serial: str = "") -> Card:
        """Puts a new, empty card of ``size_bytes`` into a slot.

        Raises:
            NotFound: no such slot.
            Conflict: there is a card in it.
        """
        if inside := self.card_in(slot):
            raise Conflict(f"In slot {slot} is the card {inside.serial} already.")
        card = Card(self.slot(slot) / (serial or secrets.token_hex(4)))
        # Made on the shelf and moved: a writer never sees a card that is still growing.
        blank = self._folder.inside("shelf") / card.serial
        with blank.open("xb") as file:
            file.truncate(size_bytes)
        blank.rename(card.path)
        return card

    def remove(self, slot: str) -> Card:
        """Takes the card out of a slot and lays it on the shelf. Raises NotFound."""
        card = self.card_in(slot)
        if card is None:
            raise NotFound(f"There is no card in slot {slot}.")
        shelved = self._folder.inside("shelf") / card.serial
        card.path.rename(shelved)
        return Card(shelved)
