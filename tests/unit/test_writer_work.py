"""Writing a card: what is reported good is good, and nothing good is overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.contract.events import Card, Phase
from tests.cards import (
    CARD_BYTES,
    DIGEST,
    IMAGE_BYTES,
    MIB,
    Bench,
    Waited,
    insert_card,
    looks_bootable,
    wrong_pieces,
)
from writer.work import INTERRUPTIONS


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_card_that_is_reported_holds_every_mapped_byte(bench: Bench) -> None:
    card = insert_card(bench.slot)

    written = bench.write()

    assert wrong_pieces(card, bench.manifest) == []
    assert (written.slot, written.card) == ("A", Card("card-1", CARD_BYTES))
    assert written.verified_bytes == bench.manifest.mapped_bytes
    assert set(written.seconds) == {"download", "wait", "check", "write", "read-back"}


def test_progress_ends_at_the_total_in_each_phase(bench: Bench) -> None:
    insert_card(bench.slot)

    bench.write()

    for phase in ("write", "read-back"):
        done, total = [told[1:] for told in bench.listener.told if told[0] == phase][-1]
        assert done == total > 0


def test_bytes_outside_of_the_map_are_left_alone(bench: Bench) -> None:
    card = insert_card(bench.slot)

    bench.write()

    assert card.read_bytes()[IMAGE_BYTES:] == b"\xff" * (CARD_BYTES - IMAGE_BYTES)
    assert card.read_bytes()[13 * MIB : 14 * MIB] == b"\xff" * MIB


@pytest.mark.parametrize("offset", [0, 8 * MIB + 5, 20 * MIB + 4095, IMAGE_BYTES - 1])
def test_a_bit_flipped_behind_the_writers_back_is_found(bench: Bench, offset: int) -> None:
    card = insert_card(bench.slot)
    flipped: list[int] = []

    def flip(phase: Phase, done: int, total: int) -> None:
        # The head is written after all else was read back; then what is in its place is looked at.
        after = (Phase.WRITE, total) if offset >= MIB else (Phase.READ_BACK, total - 4 * MIB)
        if (phase, done) == after and not flipped:
            flipped.append(offset)
            _flip_bit(card, offset)

    bench.listener.on_progress = flip

    why = bench.why_not()

    assert flipped
    assert "Take the failed card card-1 out" in why


def test_a_failed_card_is_marked_and_the_task_goes_on_with_another(bench: Bench) -> None:
    bad = insert_card(bench.slot)
    bench.listener.on_progress = _when_written(lambda: _flip_bit(bad, 9 * MIB))

    def exchange() -> None:
        bad.unlink()
        insert_card(bench.slot, "card-2")

    bench.while_waiting = exchange
    written = bench.write()

    assert written.card.serial == "card-2"
    assert "Take the failed card card-1 out of slot A" in bench.listener.waits[0]
    assert "between byte 8388608 and 12582912" in bench.listener.waits[0]


def test_a_good_card_is_never_overwritten_by_another_unit(bench: Bench) -> None:
    first = insert_card(bench.slot)
    bench.write("task-1")
    before = first.read_bytes()
    kept = bench.slot.parent / "kept"

    def exchange() -> None:
        first.rename(kept)
        insert_card(bench.slot, "card-2")

    bench.while_waiting = exchange
    written = bench.write("task-2")

    assert written.card.serial == "card-2"
    assert kept.read_bytes() == before
    assert bench.listener.waits == [
        "Take the written card card-1 out of slot A and put in a 8 GB card (card 1 of 2)."
    ]


def test_a_task_that_comes_again_ends_with_the_card_it_had_verified(bench: Bench) -> None:
    card = insert_card(bench.slot)
    first = bench.write()
    written_at = card.stat().st_mtime_ns

    again = bench.write()

    assert (again.card, again.verified_bytes) == (first.card, first.verified_bytes)
    assert card.stat().st_mtime_ns == written_at


def test_a_task_that_comes_again_reads_the_whole_card_again(bench: Bench) -> None:
    card = insert_card(bench.slot)
    bench.write()
    _flip_bit(card, 20 * MIB)

    assert "Take the failed card card-1 out" in bench.why_not()


def test_an_empty_slot_is_waited_for(bench: Bench) -> None:
    bench.while_waiting = lambda: insert_card(bench.slot)

    written = bench.write()

    assert bench.listener.waits == ["Put a 8 GB card (card 1 of 2) into slot A."]
    assert written.card.serial == "card-1"


def test_a_card_that_is_too_small_is_refused_untouched(bench: Bench) -> None:
    card = insert_card(bench.slot, size=IMAGE_BYTES - 4096)
    before = card.read_bytes()

    assert "bytes, the image" in bench.why_not()
    assert card.read_bytes() == before


def test_a_read_only_card_is_refused_untouched_and_usable_after_its_switch_moved(bench: Bench) -> None:
    card = insert_card(bench.slot)
    before = card.read_bytes()
    card.chmod(0o444)

    seen = []

    def move_the_switch() -> None:
        seen.append(card.read_bytes())
        card.chmod(0o644)

    bench.while_waiting = move_the_switch
    bench.write()

    assert seen == [before]
    assert "read-only" in bench.listener.waits[0]
    assert wrong_pieces(card, bench.manifest) == []


def test_a_card_that_turns_read_only_in_the_middle_does_not_look_finished(bench: Bench) -> None:
    card = insert_card(bench.slot)
    bench.listener.on_progress = _once(Phase.WRITE, lambda: card.chmod(0o444))

    assert "read-only" in bench.why_not()
    assert "became read-only" in bench.listener.lines[-1]
    assert b"this card is not finished" in card.read_bytes()[:4096]


def test_a_card_that_is_taken_out_in_the_middle_is_never_reported(bench: Bench) -> None:
    card = insert_card(bench.slot)
    taken = bench.slot.parent / "taken"
    bench.listener.on_progress = _once(Phase.WRITE, lambda: card.rename(taken))

    assert bench.why_not() == "Put a 8 GB card (card 1 of 2) into slot A."
    assert "taken out in the middle" in bench.listener.lines[-1]
    assert not looks_bootable(taken)


def test_a_card_that_is_lost_in_the_middle_again_and_again_counts_as_failed(bench: Bench) -> None:
    card = insert_card(bench.slot)
    away = bench.slot.parent / "away"

    def lose(phase: Phase, done: int, total: int) -> None:
        if phase == Phase.WRITE and done == total:
            card.rename(away)

    bench.listener.on_progress = lose
    bench.while_waiting = lambda: away.rename(card) if away.exists() else _stop()

    with pytest.raises(Waited):
        bench.write()

    lost = [line for line in bench.listener.lines if "taken out in the middle" in line]
    assert len(lost) == INTERRUPTIONS + 1  # the last is told with the verdict again
    assert "Take the failed card card-1 out" in bench.listener.waits[-1]


def test_stopping_takes_the_head_off_again(bench: Bench) -> None:
    card = insert_card(bench.slot)
    total = bench.manifest.mapped_bytes

    class Stopped(BaseException):
        pass

    def stop_at_the_end(phase: Phase, done: int, of: int) -> None:
        if (phase, done) == (Phase.READ_BACK, total):
            raise Stopped

    bench.listener.on_progress = stop_at_the_end

    with pytest.raises(Stopped):
        bench.write()

    assert b"this card is not finished" in card.read_bytes()[:4096]


def test_a_damaged_image_is_not_blamed_on_the_card_and_is_fetched_anew(bench: Bench) -> None:
    insert_card(bench.slot)
    image = bench.image / f"{DIGEST}.img"
    _flip_bit(image, 8 * MIB)

    with pytest.raises(ImageDamaged):
        bench.write()

    assert not image.exists()
    assert bench.place.ledger.record_of(Card("card-1", CARD_BYTES)) is None


def _flip_bit(path: Path, offset: int) -> None:
    with path.open("r+b") as stream:
        byte = os.pread(stream.fileno(), 1, offset)
        os.pwrite(stream.fileno(), bytes([byte[0] ^ 1]), offset)
        os.fsync(stream.fileno())


def _stop() -> None:
    raise Waited


def _when_written(act: Callable[[], object]) -> Callable[[Phase, int, int], None]:
    acted: list[Phase] = []

    def progress(now: Phase, done: int, total: int) -> None:
        if (now, done) == (Phase.WRITE, total) and not acted:
            acted.append(now)
            act()

    return progress


def _once(phase: Phase, act: Callable[[], object]) -> Callable[[Phase, int, int], None]:
    acted: list[Phase] = []

    def progress(now: Phase, done: int, total: int) -> None:
        if now == phase and not acted:
            acted.append(now)
            act()

    return progress
