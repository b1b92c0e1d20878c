"""``cardshop contents …``: ZIM files of one's own, brought to the shop's shelf, listed and deleted."""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cardshop.command.bar import Bar
from cardshop.command.desk import Desk, Subparsers, noun, verb
from cardshop.command.output import short
from cardshop.contract.errors import Conflict, InvalidInput
from cardshop.transfer.shelving import ShelvedFile, check_name
from cardshop.warehouse_client import Warehouse

ZIM = b"ZIM\x04"
"""What a ZIM file begins with (openZIM's file format: magic number 72173914, little-endian)."""

GIVE_UP_SECONDS = 300.0
"""Without any byte moving, a person rather hears of it, and goes on later."""

READ_BYTES = 4 * 1024 * 1024
NEXT = (
    "The shelf reads it now, which takes a minute for some GB. It can then be chosen for recipes once its "
    "catalogue was read: by itself every six hours, or at once with Catalogue, Read anew, in the manager."
)


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "contents", "upload, list and delete ZIM files of your own")
    upload = verb(
        verbs,
        "upload",
        upload_files,
        "bring ZIM files to the shop's shelf; asked again after a cut, it goes on where it was",
    )
    upload.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a ZIM file")
    upload.add_argument("--as", dest="name", metavar="NAME.zim", help="the name that it gets, of one file")
    upload.add_argument("--replace", action="store_true", help="take the place of another file of that name")
    _takes_yes(upload, "don't ask before a file that is in use is replaced")
    _takes_ca_file(upload)
    _takes_ca_file(verb(verbs, "list", list_files, "list the shelf's files"))
    deleting = verb(verbs, "delete", delete_file, "delete a file of the shelf")
    deleting.add_argument("file", metavar="NAME.zim", help="its name on the shelf")
    _takes_yes(deleting, "don't ask before a file that is in use is deleted")
    _takes_ca_file(deleting)


def upload_files(desk: Desk, arguments: argparse.Namespace) -> None:
    """Brings files to the shelf."""
    if arguments.name and len(arguments.files) > 1:
        raise InvalidInput("One name is for one file.", field="--as")
    named = [(file, arguments.name or file.name) for file in arguments.files]
    for file, name in named:  # before the first of them is sent
        _check(file, name)
    done = []
    for file, name in named:
        if arguments.replace and any(there.name == name for there in _shelf(desk, arguments)):
            _ask_about_uses(desk, name, "replaced", sure=arguments.yes)
        _upload(desk, arguments, file, name)
        desk.output.also(f"{name} is on the shelf.")
        done.append({"name": name, "size_bytes": file.stat().st_size})
    desk.output.told(done)
    desk.output.also(NEXT)


def list_files(desk: Desk, arguments: argparse.Namespace) -> None:
    """Lists the shelf's files."""
    found = _shelf(desk, arguments)
    rows = [(file.name, f"{file.size_bytes / 10**6:,.1f}", short(file.changed_at)) for file in found]
    desk.output.table(("FILE", "MB", "CHANGED (UTC)"), rows, [asdict(file) for file in found])


def delete_file(desk: Desk, arguments: argparse.Namespace) -> None:
    """Deletes a file, after asking when it is in use."""
    _ask_about_uses(desk, arguments.file, "deleted", sure=arguments.yes)
    with _warehouse(desk, arguments) as warehouse:
        warehouse.take_off(arguments.file)
    desk.output.sentence(f"{arguments.file} is deleted.", {"name": arguments.file})


def _check(file: Path, name: str) -> None:
    """What can be said before anything is sent."""
    check_name(name)
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(ZIM))
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}.", field="FILE") from None
    if begins != ZIM:
        raise InvalidInput(f"{file} is no ZIM file.", field="FILE")


def _upload(desk: Desk, arguments: argparse.Namespace, file: Path, name: str) -> None:
    draw = sys.stderr.write if sys.stderr.isatty() else None
    if draw:
        draw(f"{name}: its checksum is computed\n")
    bar = Bar(draw)
    try:
        sha256 = _sha256(file, bar)
    finally:
        bar.end()
    if draw:
        draw("It is sent; the warehouse checks it at the end\n")
    bar = Bar(draw, goes_on=True)
    try:
        with _warehouse(desk, arguments) as warehouse:
            warehouse.shelve(file, sha256, name, replace=arguments.replace, observe=bar.at)
    finally:
        bar.end()


def _sha256(file: Path, bar: Bar) -> str:
    made, size = hashlib.sha256(), file.stat().st_size
    with file.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            made.update(block)
            bar.at(stream.tell(), size)
    return made.hexdigest()


def _ask_about_uses(desk: Desk, name: str, what: str, *, sure: bool) -> None:
    """Goes on when nothing needs the file, or the person is sure. Raises Conflict, InvalidInput."""
    if sure:
        return
    uses: dict[str, Any] = desk.session.get("/v1/shelf-uses", file=name)
    recipes = [f"the recipe {recipe['name']}" for recipe in uses["recipes"]]
    needed_by = ", ".join([*recipes, *(f"order {order['number']}" for order in uses["orders"])])
    if not needed_by:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{name} is needed by {needed_by}.", hint="Say --yes if you are sure.")
    if input(f"{name} is needed by {needed_by}. Should it be {what} all the same? [y/N] ").lower() != "y":
        raise Conflict(f"{name} stays as it is.", hint="You said so.")


def _shelf(desk: Desk, arguments: argparse.Namespace) -> list[ShelvedFile]:
    with _warehouse(desk, arguments) as warehouse:
        return warehouse.shelf()


def _warehouse(desk: Desk, arguments: argparse.Namespace) -> Warehouse:
    access = desk.session.post("/v1/shelf-tokens", {})
    return Warehouse(
        access["host"],
        access["port"],
        arguments.ca_file or desk.session.ca_file(),
        access["token"],
        give_up_after=GIVE_UP_SECONDS,
    )


def _takes_yes(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("--yes", action="store_true", help=about)


def _takes_ca_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="PEM of the authority that signs the warehouse's certificate (default: as you logged in)",
    )
