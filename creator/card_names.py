"""The names that ZIM files have on a card: such that kiwix-serve and the portal lead to each of them.

kiwix-serve makes a content's address from its file's name. It leads from there to the first page without
escaping what has a meaning in an address, keeps some names for itself, and offers one of two files whose
addresses are alike. Those files get another name on the card; their titles stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from cardshop.metalink import LONGEST_NAME_BYTES
from creator.plan import ImagePlan

ZIM_SUFFIX = ".zim"
TAKEN = frozenset({
    "catalog", "catch", "content", "meta", "nojs", "portal", "portal-redirect", "random", "raw", "search",
    "skin", "suggest", "viewer",
})  # fmt: skip
"""Addresses that kiwix-serve (of libkiwix 11 to 14) and the card's own web server answer themselves."""

_MEANS_SOMETHING = re.compile(r"[?#%\\]")


def address_of(file: str) -> str:
    """The name in addresses of a ZIM file, as kiwix-serve makes it: without capitals and accents."""
    parts = unicodedata.normalize("NFD", file.removesuffix(ZIM_SUFFIX).lower())
    plain = "".join(part for part in parts if not unicodedata.category(part).startswith("M"))
    return unicodedata.normalize("NFC", plain).replace(" ", "_").replace("+", "plus")


def with_card_names(plan: ImagePlan) -> ImagePlan:
    """The plan of a card of ours with each content's name on the card; most stay as they are."""
    names = card_names([content.file for content in plan.contents])
    contents = tuple(replace(content, file=name) for content, name in zip(plan.contents, names, strict=True))
    return replace(plan, contents=contents)


def card_names(files: Sequence[str]) -> list[str]:
    """The names on the card of files with these names; one that is there twice stays so.

    What can't be the name of a ZIM file on any card stays too, and is refused by who makes the card.
    """
    given: dict[str, str] = {}
    taken = set(TAKEN)
    for file in files:
        if not file.endswith(ZIM_SUFFIX):
            given[file] = file
        elif file not in given:
            given[file] = next(name for name in _candidates(file) if address_of(name) not in taken)
            taken.add(address_of(given[file]))
    return [given[file] for file in files]


def _candidates(file: str) -> Iterator[str]:
    stem = _MEANS_SOMETHING.sub("_", file.removesuffix(ZIM_SUFFIX))
    yield stem + ZIM_SUFFIX
    for number in count(2):
        ending = f"_{number}{ZIM_SUFFIX}"
        yield stem.encode()[: LONGEST_NAME_BYTES - len(ending)].decode(errors="ignore") + ending
