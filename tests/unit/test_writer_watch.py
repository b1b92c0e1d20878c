"""Cards are seen as they come, go and change; what was taken out is forgotten, not what a reader loses."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cardshop.contract.events import Card
from tests.cards import insert_card, loop_device, need_loop_devices
from writer.block_events import BlockEvents, is_about_block_device
from writer.ledger import Ledger, Record, Verdict
from writer.slots import DeviceSlot, VirtualSlot
from writer.watch import GONE_SECONDS, SlotWatch, watch

KERNEL = b"change@/devices/virtual/block/loop0\0ACTION=change\0SUBSYSTEM=block\0MAJOR=7\0SEQNUM=42"
UDEV = b"libudev\0\xfe\xed\xca\xfe(\0\0\0(\0\0\0ACTION=add\0DEVPATH=/devices/sdb\0SUBSYSTEM=block\0"
OF_A_MOUSE = b"add@/devices/usb1/1-1\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0"


@dataclass
class Heard:
    """Hears of slots."""

    cards: list[str | None] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def slot_changed(self, slot: str, card: Card | None) -> None:
        assert slot == "A"
        with self.changed:
            self.cards.append(card.serial if card else None)
            self.changed.notify_all()

    def wait_for(self, cards: list[str | None]) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.cards == cards, 120)


@pytest.mark.parametrize(
    ("message", "about"), [(KERNEL, True), (UDEV, True), (OF_A_MOUSE, False), (b"", False)]
)
def test_events_of_block_devices_are_told_from_others(message: bytes, about: bool) -> None:
    assert is_about_block_device(message) is about


def test_a_device_that_gets_a_medium_is_heard_of(tmp_path: Path) -> None:
    need_loop_devices()
    card = insert_card(tmp_path)
    events = BlockEvents()

    with loop_device(card):
        heard = events.wait(120)

    events.close()
    assert heard


def test_a_card_is_seen_to_come_to_change_and_to_go(tmp_path: Path) -> None:
    need_loop_devices()
    place, heard, stop = tmp_path / "by-path", Heard(), threading.Event()
    slot = DeviceSlot("A", place)
    watching = threading.Thread(target=watch, args=(slot, Ledger(tmp_path / "state"), heard, stop))
    watching.start()
    try:
        assert heard.wait_for([None])
        with (
            loop_device(insert_card(tmp_path / "1", "card-1")) as one,
            loop_device(insert_card(tmp_path / "2", "card-2")) as two,
        ):
            place.symlink_to(one)
            assert heard.wait_for([None, "card-1"])
            other = tmp_path / "other"
            other.symlink_to(two)
            other.rename(place)
            assert heard.wait_for([None, "card-1", "card-2"])
            place.unlink()
            assert heard.wait_for([None, "card-1", "card-2", None])
    finally:
        stop.set()
        watching.join(120)


def test_a_card_that_a_reader_loses_for_a_moment_is_not_forgotten(tmp_path: Path) -> None:
    card = insert_card(tmp_path / "slot")
    ledger, now, heard = Ledger(tmp_path / "state"), [0.0], Heard()
    known = Card("card-1", card.stat().st_size)
    ledger.keep(Record(known, Verdict.GOOD.value, "task-1", 1, "d" * 64))
    watching = SlotWatch(VirtualSlot("A", tmp_path / "slot"), ledger, heard.slot_changed, lambda: now[0])
    away = card.rename(tmp_path / "away")

    for _look in range(20):
        watching.look()
    now[0] = GONE_SECONDS - 0.1
    watching.look()
    after_a_moment = ledger.record_of(known)
    away.rename(card)
    watching.look()
    back = ledger.record_of(known)
    card.unlink()
    watching.look()
    now[0] += GONE_SECONDS
    watching.look()

    assert after_a_moment is not None
    assert back is not None
    assert ledger.record_of(known) is None
