"""Numbers that people enter are read only when they are of a length that a number here has."""

from __future__ import annotations

import pytest

from manager.numbers import number


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("25", 25), ("999999999", 999_999_999)])
def test_digits_are_a_number(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "-1", "1.5", "many", "1000000000", "9" * 5000])
def test_what_is_no_number_of_ours_is_passed_on_as_it_was_entered(text: str) -> None:
    assert number(text) == text
