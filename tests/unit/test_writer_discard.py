"""A card that can is told to forget what it held before the image is written."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.cards import (
    CARD_BYTES,
    IMAGE_BYTES,
    MIB,
    Bench,
    insert_card,
    loop_device,
    need_loop_devices,
    wrong_pieces,
)
from writer import block_device
from writer.slots import DeviceSlot


@pytest.fixture(autouse=True)
def _as_root() -> None:
    need_loop_devices()


def test_old_bytes_are_gone_from_a_card_that_can_forget(tmp_path: Path) -> None:
    card = insert_card(tmp_path / "reader")
    with loop_device(card) as device:
        if not block_device.can_discard(device.stat().st_rdev):
            pytest.skip("loop devices over this file system don't forget")
        bench = Bench(tmp_path, DeviceSlot("A", device, str(card)))

        bench.write()

    assert wrong_pieces(card, bench.manifest) == []
    content = card.read_bytes()
    assert content[13 * MIB : 14 * MIB] == bytes(MIB)
    assert content[IMAGE_BYTES:] == bytes(CARD_BYTES - IMAGE_BYTES)


def test_the_mark_of_an_unfinished_card_is_never_forgotten(tmp_path: Path) -> None:
    card = insert_card(tmp_path / "reader")
    with loop_device(card) as device:
        bench = Bench(tmp_path, DeviceSlot("A", device, str(card)))

        class Ended(BaseException):
            pass

        def end(_phase: object, _done: int, _total: int) -> None:
            if _phase == "write":
                raise Ended

        bench.listener.on_progress = end
        with contextlib.suppress(Ended):
            bench.write()

    assert b"this card is not finished" in card.read_bytes()[:4096]
