"""``writer-helper name | labels``: letters for the places where cards appear, and their labels."""

from __future__ import annotations

import argparse
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cardshop.contract.errors import Conflict, InvalidInput, Unavailable
from cardshop.sizes import size_said
from writer_helper.commands.desk import Desk
from writer_helper.naming import LOOK_SECONDS, Seen, labels, look, next_letter
from writer_helper.places import Place

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the commands."""
    name = commands.add_parser(
        "name",
        parents=[shared],
        help="wait for a card, and give the slot where it appears its letter",
        description="Put a card into an opening that has no letter yet (take it out first). The "
        "place where it appears becomes a slot. Once for each slot.",
    )
    name.add_argument("letter", nargs="?", help="default: the first free one")
    name.add_argument("--folder", type=Path, help="look into the virtual slots (folders) in this folder too")
    name.add_argument("--wait", type=float, default=300, metavar="SECONDS", help="default: %(default)s")
    name.set_defaults(run=_name)
    label = commands.add_parser(
        "labels", parents=[shared], help="write the slots' labels as an SVG file, to be printed"
    )
    label.add_argument("slots", nargs="*", metavar="SLOT", help="default: all")
    label.add_argument("--output", type=Path, default=Path("labels.svg"), help="default: %(default)s")
    label.add_argument("--host", default=socket.gethostname(), help="the name on them (default: %(default)s)")
    label.set_defaults(run=_labels)


def _name(desk: Desk, arguments: argparse.Namespace) -> None:
    host = desk.configuration.read()
    letter = arguments.letter or next_letter([slot.name for slot in host.slots])
    before = look(arguments.folder)
    desk.hint(f"Put a card into the opening that shall be slot {letter}.")
    place = _wait_for_card(before, arguments.folder, arguments.wait)
    known = next((slot.name for slot in host.slots if slot.path == place.path), None)
    if known not in (None, letter):
        raise Conflict(
            f"That is slot {known} already.", hint="Take the card out; put it into another opening."
        )
    desk.configuration.put_slot(letter, place.path)
    desk.say(
        f"Slot {letter} is {place.name} ({size_said(place.card_bytes)} card inside). Put the letter on it.",
        name=letter,
        path=str(place.path),
        lun=place.lun,
        card_bytes=place.card_bytes,
    )


def _wait_for_card(before: Seen, folder: Path | None, seconds: float) -> Place:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = look(folder)
        found = now.appeared_since(before)
        if len(found) > 1:
            raise InvalidInput(f"{len(found)} cards appeared at once.", hint="Put in one after the other.")
        if found:
            return found[0]
        before = now  # a card that was taken out may come again
        time.sleep(LOOK_SECONDS)
    raise Unavailable(
        f"No card appeared within {seconds:.0f} s.",
        hint="Is the reader plugged in? Run: writer-helper doctor",
    )


def _labels(desk: Desk, arguments: argparse.Namespace) -> None:
    host = desk.configuration.read()
    slots = [host.slot(name) for name in arguments.slots] or list(host.slots)
    arguments.output.write_text(labels(slots, arguments.host))
    desk.say(f"{arguments.output} has {len(slots)} labels.", output=str(arguments.output), labels=len(slots))
