"""A card that can is told to forget what it held before the image is written."""

from __future__ import annotations

import contextlib
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
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
from writer import block_device, guard
from writer.discard_ahead import PIECE_BYTES, DiscardAhead
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


def test_what_is_written_behind_the_discard_stays_and_all_else_is_gone(tmp_path: Path) -> None:
    """Several threads, pieces that end in the middle of what is written."""
    size, old, new = 6 * PIECE_BYTES, b"\xff" * MIB, b"\x11" * MIB
    written = [n * PIECE_BYTES + place for n in range(3) for place in (MIB, PIECE_BYTES // 2, PIECE_BYTES)]
    untouched = [n * PIECE_BYTES + place for n in range(3) for place in (8 * MIB, PIECE_BYTES - 8 * MIB)]
    card = tmp_path / "card"
    with card.open("wb") as file:
        file.truncate(size)
        for offset in (0, *written, *untouched, size - MIB):
            os.pwrite(file.fileno(), old, offset)

    with loop_device(card) as device:
        if not block_device.can_discard(device.stat().st_rdev):
            pytest.skip("loop devices over this file system don't forget")
        inserted = DeviceSlot("A", device, str(card)).inserted()
        assert inserted
        with (
            guard.opened(inserted, size) as opened,
            mmap.mmap(-1, MIB) as memory,
            ThreadPoolExecutor(3) as pool,
        ):
            memory.write(new)
            ahead = DiscardAhead(opened, MIB // 2)

            def write(offset: int) -> None:
                ahead.reach(offset + MIB)
                os.pwrite(opened.descriptor, memory, offset)

            list(pool.map(write, written))
            pieces: list[None] = []
            ahead.rest(lambda: pieces.append(None))

    with card.open("rb") as now:
        found = {
            offset: os.pread(now.fileno(), MIB, offset) for offset in (0, *written, *untouched, size - MIB)
        }
    assert found[0] == old[: MIB // 2] + bytes(MIB // 2)
    assert all(found[offset] == new for offset in written)
    assert all(found[offset] == bytes(MIB) for offset in (*untouched, size - MIB))
    assert pieces
