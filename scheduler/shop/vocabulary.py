"""The code lists that a recipe's rules need, from the libraries that keep them."""

from __future__ import annotations

import zoneinfo

import iso639

from scheduler.domain.recipes import Vocabulary


def vocabulary() -> Vocabulary:
    """ISO 639 codes (two letters, and three) of living lists; names of the tz database."""
    codes: set[str] = set()
    for language in iso639.ALL_LANGUAGES:
        codes |= {code for code in (language.part1, language.part3) if code}
    return Vocabulary(languages=frozenset(codes), timezones=frozenset(zoneinfo.available_timezones()))
