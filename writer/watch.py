"""Watches the slot, between tasks too: tells when a card comes or goes, and forgets what was taken out.

A change is seen as it happens where the host tells of it, and half a second later where it doesn't.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cardshop.contract.errors import CardRefused
from cardshop.contract.events import Card
from cardshop.worker import Slots
from writer.aside import Aside, Silent
from writer.block_events import BlockEvents
from writer.ledger import Ledger
from writer.slots import LOOK_SECONDS, PATIENCE_SECONDS, Inserted, Slot

TELL_AGAIN_SECONDS = 20.0
"""A slot that doesn't change is told of in this interval: one that nothing is told of hangs."""

GONE_SECONDS = 2.0
"""A slot must be empty for so long before its card counts as taken out: a reader that resets loses it for a
moment."""

SETTLE_SECONDS = 0.1
"""Pause after something happened on the host: events come in bursts."""

log = structlog.get_logger(__name__)


class SlotWatch:
    """Follows one slot.

    Args:
        slot: which.
        ledger: of the slot's card.
        tell: told of each change, of the first look, and now and then: the slot's name, its card.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        slot: Slot,
        ledger: Ledger,
        tell: Callable[[str, Card | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._told_at = 0.0
        self._told: tuple[Card | None] | None = None
        self._empty_since: float | None = None

    def look(self) -> None:
        """One look at the slot. Nothing is told while its reader doesn't answer: it then counts as silent."""
        try:
            card = self._card()
        except Silent:
            return
        now = self._clock()
        if card:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        if self._empty_since is None or now - self._empty_since >= GONE_SECONDS:
            self._ledger.forget_all_but(card)
        if self._told != (card,):
            log.info("slot changed", slot=self._slot.name, card=card.serial if card else None)
        elif self._clock() - self._told_at < TELL_AGAIN_SECONDS:
            return
        self._tell(self._slot.name, card)
        self._told, self._told_at = (card,), self._clock()

    def _card(self) -> Card | None:
        try:
            inserted = self._slot.inserted()
        except CardRefused:
            return None  # a task that needs the slot tells why
        return inserted.card if inserted else None


@dataclass(frozen=True)
class SlotAside:
    """A slot that is looked at in a process aside. Raises Silent when its reader doesn't answer."""

    slot: Slot
    aside: Aside

    @property
    def name(self) -> str:
        """The slot's."""
        return self.slot.name

    def inserted(self) -> Inserted | None:
        """The card that is in it now."""
        found: Inserted | None = self.aside.call(_inserted, self.slot)
        return found


def watch(slot: Slot, ledger: Ledger, slots: Slots, stop: threading.Event) -> None:
    """Follows the slot until ``stop`` is set: looks when something happens on the host, and now and then."""
    aside = Aside(PATIENCE_SECONDS)
    watching = SlotWatch(SlotAside(slot, aside), ledger, slots.slot_changed)
    with contextlib.ExitStack() as stack:
        stack.callback(aside.end)
        events = stack.enter_context(contextlib.closing(BlockEvents()))
        while not stop.is_set():
            watching.look()
            if events.wait(LOOK_SECONDS):
                stop.wait(SETTLE_SECONDS)


def _inserted(slot: Slot) -> Inserted | None:
    return slot.inserted()
