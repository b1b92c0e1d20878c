"""Numbers that people enter."""

from __future__ import annotations

MOST_DIGITS = 9
"""More than any number here has; Python refuses to read thousands of digits."""


def number(text: str) -> int | str:
    """The number that ``text`` is; else the text as it is, so that the API says what is wrong with it."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else text
