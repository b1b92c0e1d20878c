"""The card that leaves the slot bears its passport, read back with the rest."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged, MessageRejected
from cardshop.contract.events import Speed
from cardshop.contract.passports import CardStatement, Signed
from cardshop.image_format import Manifest, Range
from tests.cards import DIGEST, MIB, Bench, insert_card, wrong_pieces
from writer.speeds import SpeedMeter

PLACE = Range(20 * MIB, 4096)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, passport=PLACE)
    bench.signed = signed_for(bench)
    return bench


def signed_for(bench: Bench, **changes: object) -> Signed:
    document = (bench.image / f"{DIGEST}.json").read_bytes()
    stated = CardStatement(12, 1, 2, "task-1", 1, DIGEST, hashlib.sha256(document).hexdigest())
    return Signed("key-1", replace(stated, **changes).to_statement(), "c2lnbmF0dXJl")  # type: ignore[arg-type]


def test_a_card_holds_the_image_byte_for_byte_but_for_the_passport(bench: Bench) -> None:
    card = insert_card(bench.slot)

    written = bench.write()

    assert wrong_pieces(card, bench.manifest) == [PLACE.offset]
    with card.open("rb") as stream:
        stream.seek(PLACE.offset)
        place = stream.read(PLACE.length)
    assert Signed.from_text(place.decode()) == bench.signed
    assert written.verified_bytes == bench.manifest.mapped_bytes
    assert (
        written.manifest_sha256 == hashlib.sha256((bench.image / f"{DIGEST}.json").read_bytes()).hexdigest()
    )


def test_a_passport_that_the_card_changes_is_found_by_the_read_back(bench: Bench) -> None:
    card = insert_card(bench.slot)

    def change(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("write", total):
            with card.open("r+b") as stream:
                os.pwrite(stream.fileno(), b"!", PLACE.offset + 100)

    bench.listener.on_progress = change
    why = bench.why_not()

    assert "gives back other bytes than were written, between byte 20971520 and 20975616" in why


def test_speeds_retries_and_the_host_are_told(bench: Bench) -> None:
    insert_card(bench.slot)

    written = bench.write()

    assert written.write_speed is not None
    assert written.read_speed is not None
    assert 0 < written.write_speed.worst <= written.write_speed.median
    assert 0 < written.read_speed.worst <= written.read_speed.median
    assert (written.retries, written.host) == (0, os.uname().nodename)


def test_a_card_whose_report_was_lost_keeps_its_passport(bench: Bench) -> None:
    insert_card(bench.slot)
    bench.write()

    again = bench.write()

    assert again.write_speed is None
    assert again.read_speed is not None


@pytest.mark.parametrize("changes", [{"image": "0" * 64}, {"manifest": "0" * 64}])
def test_no_card_is_written_with_another_images_passport(bench: Bench, changes: dict[str, object]) -> None:
    insert_card(bench.slot)
    bench.signed = signed_for(bench, **changes)

    with pytest.raises(ImageDamaged, match="another build"):
        bench.write()


def test_no_card_is_written_without_a_passport(bench: Bench) -> None:
    insert_card(bench.slot)
    bench.signed = None

    with pytest.raises(MessageRejected, match="no passport"):
        bench.write()


def test_small_pieces_say_nothing_about_speed() -> None:
    times = iter([0.0, 1.0, 1.0, 3.0, 3.0, 3.5, 4.0, 14.0])
    meter = SpeedMeter(lambda: next(times))
    assert meter.speed() is None

    for count in (16 * MIB, 16 * MIB, 16 * MIB, 4096):
        with meter.timed(count):
            pass

    assert meter.speed() == Speed(16 * MIB, 8 * MIB)


def test_time_in_which_two_pieces_are_under_way_counts_once() -> None:
    times = iter([0.0, 4.0])
    meter = SpeedMeter(lambda: next(times))

    with meter.timed(8 * MIB), meter.timed(8 * MIB):
        pass

    assert meter.speed() == Speed(4 * MIB, 4 * MIB)


def test_the_manifest_of_the_bench_names_the_place(bench: Bench) -> None:
    assert Manifest.from_file(bench.image / f"{DIGEST}.json").passport == PLACE


def test_an_image_without_a_place_for_it_is_compared_with_what_was_signed_too(tmp_path: Path) -> None:
    older = Bench(tmp_path)
    older.signed = signed_for(older, manifest="0" * 64)
    insert_card(older.slot)

    with pytest.raises(ImageDamaged, match="another build"):
        older.write()


def test_a_verified_card_stays_good_though_its_speed_can_t_be_kept(bench: Bench) -> None:
    insert_card(bench.slot)
    bench.signed = signed_for(bench)
    (bench.image.parent / "card-speeds.part").mkdir()  # the file of the speeds can't be written

    written = bench.write()

    record = bench.place.ledger.record_of(written.card)
    assert record is not None
    assert record.is_good_for("task-1", 1)
