"""Naming slots: a card is put in, the place where it appeared gets a letter and a label.

People see openings of readers, Linux sees paths; which is which only a card that is put in can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from string import ascii_uppercase

from cardshop.writer_host import ConfiguredSlot
from writer_helper.places import Place, card_readers, place_at

LOOK_SECONDS = 0.5
"""Pause between two looks: readers tell of a change only when they are asked."""

LABEL_MILLIMETRES = (62, 29)
"""Of the labels that label printers have by the roll; on paper, they are cut out."""


@dataclass(frozen=True)
class Seen:
    """What was in the places at one look; places with a card only."""

    cards: Mapping[Path, Place]

    def appeared_since(self, before: Seen) -> list[Place]:
        """Places with a card now that had none before."""
        return [place for path, place in self.cards.items() if path not in before.cards]


def look(folder: Path | None = None) -> Seen:
    """Looks into all card readers and, where given, into each virtual slot (a folder) in ``folder``."""
    places = card_readers()
    if folder is not None and folder.is_dir():
        inside = [place_at(path.absolute()) for path in sorted(folder.iterdir())]
        places += [place for place in inside if place and place.virtual]
    return Seen({place.path: place for place in places if place.card_bytes})


def next_letter(taken: Collection[str]) -> str:
    """The first free one of A, B, ... Z, AA, AB, ..."""
    return next(letter for letter in _letters() if letter not in taken)


def labels(slots: Collection[ConfiguredSlot], host_name: str) -> str:
    """The slots' labels as one SVG document, one below the other: letter, host and place, in true size."""
    return _document(sorted(slots, key=lambda slot: slot.name), host_name)


def _letters() -> Iterator[str]:
    yield from ascii_uppercase
    for number in count():
        first, second = divmod(number, len(ascii_uppercase))
        yield ascii_uppercase[first % len(ascii_uppercase)] + ascii_uppercase[second]


def _document(slots: Collection[ConfiguredSlot], host_name: str) -> str:
    width, height = LABEL_MILLIMETRES
    total = height * max(len(slots), 1)
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{total}mm"'
        f' viewBox="0 0 {width} {total}" font-family="sans-serif">'
    )
    parts = [begin]
    for number, slot in enumerate(slots):
        parts.append(
            f'<g transform="translate(0 {number * height})">'
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="2" fill="none"'
            ' stroke="black" stroke-width="0.3"/>'
            f'<text x="4" y="22" font-size="20" font-weight="bold">{escape(slot.name)}</text>'
            f'<text x="{width - 3}" y="9" font-size="4" text-anchor="end">{escape(host_name)}</text>'
            f'<text x="{width - 3}" y="26" font-size="2" text-anchor="end">{escape(slot.path.name)}</text>'
            "</g>"
        )
    return "\n".join([*parts, "</svg>\n"])
