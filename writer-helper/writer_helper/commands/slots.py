"""``writer-helper slots``: the places for a card on this host."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cardshop.contract.errors import NotFound
from cardshop.sizes import size_said
from writer_helper.commands.desk import Desk
from writer_helper.overview import overview
from writer_helper.places import BY_PATH

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "slots",
        parents=[shared],
        help="list the card readers' slots of this host, and what is in them",
        description="Lists the slots of the configuration, then the card readers that are no slot yet. A "
        "slot is a physical place (a port of a card reader, and its LUN), whatever Linux calls the device.",
    )
    parser.set_defaults(run=_run)


def _run(desk: Desk, _arguments: argparse.Namespace) -> None:
    try:
        configured = desk.configuration.read().slots
    except NotFound:
        configured = ()
    views = overview(configured)
    rows = [
        (
            view.name or "-",
            view.place.name if view.place else str(view.slot.path if view.slot else ""),
            "" if view.place is None or view.place.lun is None else str(view.place.lun),
            view.place.device if view.place else "",
            view.place.model if view.place else "",
            size_said(view.place.card_bytes) if view.place else "",
            view.verdict,
        )
        for view in views
    ]
    if not views and not desk.as_json:
        why = "" if BY_PATH.is_dir() else f" {BY_PATH} is missing: is udev running?"
        desk.say(f"No slot is configured, and no card reader was found.{why}")
        return
    desk.table(
        ("slot", "place", "LUN", "device", "reader", "card", "state"), rows, [view.facts() for view in views]
    )
