"""Work in a process aside: errors come back, what hangs is left behind, what is stopped cleans up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cardshop.contract.errors import CardFailed, Unavailable
from writer.aside import Aside, Silent, Tell


class Stopped(BaseException):
    pass


def test_the_answer_comes_back() -> None:
    assert Aside(120).call(divmod, 7, 2) == (3, 1)


def test_an_error_for_people_keeps_its_kind_and_hint() -> None:
    with pytest.raises(CardFailed) as raised:
        Aside(120).call(fail)

    assert (raised.value.sentence, raised.value.hint) == ("It is worn out.", "Throw it away.")


def test_what_hangs_is_left_behind_and_the_next_call_gets_a_new_process() -> None:
    aside = Aside(15)  # its next process has to start within this, on a busy host too

    with pytest.raises(Silent):
        aside.call(time.sleep, 600)

    assert aside.call(divmod, 7, 2) == (3, 1)


def test_a_process_that_dies_is_told_as_what_can_be_tried_again() -> None:
    with pytest.raises(Unavailable):
        Aside(120).call(os._exit, 1)


def test_whoever_stops_listening_stops_the_work_which_cleans_up(tmp_path: Path) -> None:
    def hear(number: int) -> None:
        if number == 3:
            raise Stopped

    with pytest.raises(Stopped):
        Aside(120).call(count_and_clean_up, tmp_path / "cleaned-up", heard=hear)

    assert (tmp_path / "cleaned-up").read_text() == "at 3"


def fail() -> None:
    raise CardFailed("It is worn out.", hint="Throw it away.")


def count_and_clean_up(tell: Tell, file: Path) -> None:
    number = 0
    try:
        while True:
            number += 1
            tell(number)
    finally:
        file.write_text(f"at {number}")
