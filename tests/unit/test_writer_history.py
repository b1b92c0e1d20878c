"""A card is compared with those of its kind before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from writer.history import KEPT_CARDS, LEAST_CARDS, CardSpeed, SpeedHistory

MB = 10**6
KIND = "SanDisk SC32G 31914983424"


@pytest.fixture
def history(tmp_path: Path) -> SpeedHistory:
    made = SpeedHistory(tmp_path / "cards" / "speeds.json")
    for write in (19, 21, 20):
        assert made.add(KIND, CardSpeed(write * MB, 80 * MB)) == ""
    return made


def test_a_card_that_writes_at_a_fifth_of_its_kind_is_told(history: SpeedHistory) -> None:
    assert history.add(KIND, CardSpeed(4 * MB, 80 * MB)) == (
        "The card is much slower than its kind: it takes 4.0 MB/s, others of its kind 20.0."
    )


def test_a_card_that_reads_slowly_is_told(history: SpeedHistory) -> None:
    assert "it gives 30.0 MB/s, others of its kind 80.0" in history.add(KIND, CardSpeed(20 * MB, 30 * MB))


def test_a_card_within_the_spread_of_its_kind_is_not_told(history: SpeedHistory) -> None:
    assert history.add(KIND, CardSpeed(13 * MB, 55 * MB)) == ""


def test_a_card_of_another_kind_is_compared_with_nothing_yet(history: SpeedHistory) -> None:
    assert history.add("Kingston SD10 7948206080", CardSpeed(1 * MB, 1 * MB)) == ""


def test_nothing_is_told_before_some_cards_of_the_kind_are_known(tmp_path: Path) -> None:
    history = SpeedHistory(tmp_path / "speeds.json")
    speeds = [CardSpeed(100 * MB, 100 * MB), *[CardSpeed(1 * MB, 1 * MB)] * (LEAST_CARDS - 1)]

    assert [history.add(KIND, speed) for speed in speeds] == [""] * LEAST_CARDS


def test_one_slow_card_does_not_make_the_next_one_look_good(history: SpeedHistory) -> None:
    slow = CardSpeed(4 * MB, 80 * MB)

    assert history.add(KIND, slow)
    assert history.add(KIND, slow)


def test_old_cards_are_forgotten(history: SpeedHistory) -> None:
    for _card in range(KEPT_CARDS):
        history.add(KIND, CardSpeed(4 * MB, 80 * MB))

    assert history.add(KIND, CardSpeed(4 * MB, 80 * MB)) == ""


def test_a_damaged_history_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    file.write_text('{"a": 1')

    assert SpeedHistory(file).add(KIND, CardSpeed(MB, MB)) == ""
    assert file.read_text() == f'{{"{KIND}": [{{"write": {MB}, "read": {MB}}}]}}'
