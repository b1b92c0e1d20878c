"""Slots of writers: what is told of them, and their silence. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scheduler.domain.states import SLOT_TABLE, Refused, SlotEvent, SlotState, after
from scheduler.domain.tasks import Change

CHANGES_KEPT = 50
"""Of a slot's history; a busy slot changes many times a day."""


@dataclass(frozen=True)
class Slot:
    """A slot as it was last heard of."""

    slot: str  # as people call it
    state: SlotState
    card: Mapping[str, Any] | None  # contract's Card
    at: datetime  # what was told last was true then, by the writer's clock
    heard_at: datetime  # by the shop's
    history: tuple[Change, ...] = ()


def slot_told(
    before: Slot | None, name: str, card: Mapping[str, Any] | None, *, at: datetime, who: str, now: datetime
) -> Slot | None:
    """The slot after its writer told of it; None when it told of a later moment before.

    Args:
        before: as the database has it; None: it is new.
        name: of the slot.
        card: that is in it.
        at: when, by the writer's clock; one that goes ahead is not believed, else nothing that it tells
            after it was set right would count.
        who: the writer.
        now: by the shop's clock.
    """
    at = min(at, now)
    if before and at < before.at:
        return None
    slot = before or Slot(name, SlotState.EMPTY, None, at, now)
    event = SlotEvent.CARD_IN if card else SlotEvent.CARD_OUT
    state = after(SLOT_TABLE, slot.state, event)
    if isinstance(state, Refused):
        return None
    told = replace(slot, state=state, card=card, at=at, heard_at=now)
    if before and (state, card) == (before.state, before.card):
        return told
    why = f"card {card['serial']}" if card else ""
    return _with_change(told, Change(now, who, event, slot.state if before else "", state, why))


def slot_silenced(slot: Slot, *, who: str, now: datetime, why: str) -> Slot | Refused:
    """The slot after nothing was told of it for too long."""
    state = after(SLOT_TABLE, slot.state, SlotEvent.SILENCE)
    if isinstance(state, Refused):
        return state
    return _with_change(
        replace(slot, state=state), Change(now, who, SlotEvent.SILENCE, slot.state, state, why)
    )


def _with_change(slot: Slot, change: Change) -> Slot:
    return replace(slot, history=(*slot.history, change)[-CHANGES_KEPT:])
