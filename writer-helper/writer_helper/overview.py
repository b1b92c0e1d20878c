"""The slots as they are now: what the configuration says of them, joined with what is in the ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cardshop.writer_host import ConfiguredSlot
from writer_helper.places import Place, card_readers, place_at


@dataclass(frozen=True)
class SlotView:
    """A slot and its place: no slot yet when ``slot`` is None, not there when ``place`` is None."""

    slot: ConfiguredSlot | None
    place: Place | None

    @property
    def name(self) -> str:
        """The slot's letter, empty when it has none yet."""
        return self.slot.name if self.slot else ""

    @property
    def verdict(self) -> str:
        """How it is, in a few words."""
        if self.place is None:
            return "missing: nothing is plugged in there"
        if not self.place.card_bytes:
            return "empty"
        return "card inside"

    def facts(self) -> dict[str, Any]:
        """For a script."""
        place = self.place
        return {
            "name": self.name or None,
            "path": str(place.path if place else self.slot.path if self.slot else ""),
            "lun": place.lun if place else None,
            "device": place.device or None if place else None,
            "model": place.model if place else "",
            "virtual": bool(place and place.virtual),
            "card_bytes": place.card_bytes if place else 0,
            "there": place is not None,
            "account": self.slot.username or None if self.slot else None,
        }


def overview(slots: Sequence[ConfiguredSlot]) -> list[SlotView]:
    """The configured slots by name, then the card readers of this host that are no slot yet."""
    views = [SlotView(slot, place_at(slot.path)) for slot in sorted(slots, key=lambda slot: slot.name)]
    taken = {view.slot.path for view in views if view.slot}
    return views + [SlotView(None, place) for place in card_readers() if place.path not in taken]
