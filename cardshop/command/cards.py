"""``cardshop verify``, ``label`` and ``keys``: what is in the hand, checked where no network is."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from cardshop.card_check import Finding, Verdict, check_card
from cardshop.command.bar import Bar
from cardshop.command.desk import Desk, Subparsers, verb
from cardshop.contract.errors import ImageDamaged, InvalidInput, MessageRejected, Unavailable
from cardshop.contract.passports import Passport, Signed
from cardshop.open_card import OpenedCard, opened_card
from cardshop.signatures import NotGenuine, PublicKeys

STATUSES = {Verdict.GOOD: 0, Verdict.DAMAGED: 1, Verdict.NOT_GENUINE: 3, Verdict.USED: 4}
"""Exit status of each verdict."""

SENTENCES = {
    Verdict.GOOD: "GOOD: the card is genuine, and every byte is right.",
    Verdict.USED: "USED: the card is genuine, and its contents are whole.",
    Verdict.DAMAGED: "DAMAGED: the card is not as it was written.",
    Verdict.NOT_GENUINE: "NOT GENUINE: nothing proves that the shop made this card.",
}
EPILOG = (
    "Exit status: 0 good; 1 damaged; 3 not genuine; 4 used: as good, but the card was started, and its "
    "system has changed files of its own."
)
_CID = re.compile(r"[0-9a-f]{32}")
MOST_SHOWN = 40
"""Broken files that are listed; --json has all."""

_KEYS_SECONDS = 30


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    check = verb(
        subparsers,
        "verify",
        verify,
        "check a card, offline: is it genuine, is it whole, which file is broken",
        epilog=EPILOG,
    )
    check.add_argument(
        "card", type=Path, metavar="DEVICE", help="the card, for example /dev/sdb, or an image file"
    )
    _takes_keys(check)
    check.add_argument(
        "--label", type=Path, metavar="FILE", help="what the label's QR code says; the card must be that one"
    )
    label = verb(subparsers, "label", read_label, "check what the QR code of a card's label says, offline")
    label.add_argument(
        "file", type=Path, metavar="FILE", help="the text of the QR code; - reads standard input"
    )
    _takes_keys(label)
    keys = verb(
        subparsers,
        "keys",
        export_keys,
        "print the shop's public keys, to be kept in a file for offline checks",
    )
    keys.add_argument(
        "--url", help="the scheduler's API, for who has no account (default: where you are logged in)"
    )
    keys.add_argument("--ca-file", metavar="FILE", help="with --url: PEM of the shop's own authority")


def verify(desk: Desk, arguments: argparse.Namespace) -> int:
    """Checks a card; returns the exit status."""
    keys = PublicKeys.from_file(arguments.keys)
    label = _label(arguments.label, keys) if arguments.label else None
    with opened_card(arguments.card) as card:
        bar = Bar(sys.stderr.write if sys.stderr.isatty() else None)
        try:
            finding = check_card(card.read, keys, bar.at)
        except (ImageDamaged, OSError) as error:
            raise InvalidInput(
                f"{arguments.card} is no card of Cardshop, or nothing of it can be read. {error}",
                hint="Is it the whole card, not one of its partitions?",
            ) from None
        finally:
            bar.end()
        if label:
            finding = _with_label(finding, label, card)
    _tell(desk, finding, card.serial, label)
    return STATUSES[finding.verdict]


def read_label(desk: Desk, arguments: argparse.Namespace) -> None:
    """Checks a label. Raises NotGenuine."""
    passport = _label(arguments.file, PublicKeys.from_file(arguments.keys))
    facts = {
        "order": f"{passport.order}, card {passport.unit} of {passport.units}",
        "card": f"{passport.serial}, {passport.size:,} bytes",
        "verified": f"{passport.at}, {passport.verified:,} bytes",
        "by": f"{passport.writer} on {passport.host}, slot {passport.slot}",
        "image": passport.image,
    }
    desk.output.facts({"label": "GENUINE", **facts}, asdict(passport))


def export_keys(desk: Desk, arguments: argparse.Namespace) -> None:
    """Prints the keys, always as JSON: it is the file that the others read."""
    answer = (
        _keys_of(arguments.url, arguments.ca_file) if arguments.url else desk.session.get("/v1/image-keys")
    )
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


def _takes_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keys",
        type=Path,
        required=True,
        metavar="FILE",
        help="the shop's public keys, as: cardshop keys > FILE",
    )


def _label(file: Path, keys: PublicKeys) -> Passport:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        signed = Signed.from_text(text)
        passport = Passport.from_statement(signed.statement)
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}.") from None
    except (UnicodeDecodeError, MessageRejected):
        raise NotGenuine("That is not what the QR code of a card's label says.") from None
    keys.check(signed)
    return passport


def _with_label(finding: Finding, label: Passport, card: OpenedCard) -> Finding:
    stated = finding.card
    same = stated is not None and all(
        getattr(stated, name) == getattr(label, name)
        for name in ("task", "attempt", "unit", "image", "manifest")
    )
    # Only a CID is the card's own: a reader that tells none gets a serial made up for the card.
    told = all(_CID.fullmatch(serial) for serial in (card.serial, label.serial))
    if finding.verdict is Verdict.NOT_GENUINE or (same and (not told or card.serial == label.serial)):
        return finding
    why = (
        f"The label is that of the card {label.serial}; this card is {card.serial}: it was copied."
        if same
        else "The label is that of another card."
    )
    return Finding(
        Verdict.NOT_GENUINE, why, stated, finding.broken, finding.checked_bytes, finding.wrong_bytes
    )


def _tell(desk: Desk, finding: Finding, serial: str, label: Passport | None) -> None:
    stated = finding.card
    told: dict[str, Any] = {**asdict(finding), "verdict": finding.verdict.value, "serial": serial}
    shown = finding.broken[:MOST_SHOWN]
    facts: dict[str, object] = {
        "order": stated and f"{stated.order}, card {stated.unit} of {stated.units}",
        "image": stated and stated.image,
        "read": f"{finding.checked_bytes:,} bytes",
        "wrong": finding.wrong_bytes and f"pieces of {finding.wrong_bytes:,} bytes in all",
        "label": label
        and ("of this card" if serial else "of this card, as far as its reader tells: not its serial number"),
    }
    desk.output.told(told)
    desk.output.also(SENTENCES[finding.verdict], *([finding.why] if finding.why else []))
    desk.output.also(*(f"  {name:<6} {value}" for name, value in facts.items() if value))
    if shown:
        desk.output.also("  broken:", *(f"    {path}" for path in shown))
    if len(finding.broken) > len(shown):
        desk.output.also(f"    and {len(finding.broken) - len(shown)} more")


def _keys_of(url: str, ca_file: str | None) -> Any:
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/v1/image-keys", verify=ca_file or True, timeout=_KEYS_SECONDS
        )
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, OSError) as error:
        raise Unavailable(
            f"{url} does not tell its keys: {type(error).__name__}.", hint="Is the address right?"
        ) from None
