"""What a token allows: one operation on the files of one image, or to fill the shelf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cardshop.contract.errors import NotAllowed, NotAuthenticated
from cardshop.image_format import PICTURE_SUFFIX, SBOM_SUFFIX
from cardshop.metalink import is_zim_name

SUFFIXES = (".json", ".bmap", SBOM_SUFFIX, PICTURE_SUFFIX, ".img")
"""Of an image's files, in the order in which an upload completes them."""

PART = ".part"
"""Ends the name of a file whose upload is not complete."""


class Operation(StrEnum):
    """What a token is for."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    SHELVE = "shelve"  # bring, list and delete the ZIM files of the shelf; no image


@dataclass(frozen=True)
class Right:
    """What the scheduler says that a token is good for."""

    operation: Operation
    digest: str  # of the one image, 64 hex digits; of no image where it is for the shelf
    expires_at: datetime


_REFUSED = {
    Operation.UPLOAD: "The token of this session lets it write the parts of one image and complete them.",
    Operation.DOWNLOAD: "The token of this session lets it read the files of one image.",
    Operation.SHELVE: "The token of this session lets it upload, list and delete ZIM files of the shelf.",
}
_SHELF_PART = re.compile(r"[0-9a-f]{64}\.zim\.part")
_NUMBER = re.compile(r"[0-9]{1,18}")


def check(right: Right, command: str, name: str, now: datetime) -> None:
    """Passes when the right allows ``command`` on ``name``.

    The name is compared as a whole with the few that are allowed, so no other spelling (a folder, ``..``,
    control characters) needs to be known here.

    Raises:
        NotAuthenticated: the token has expired since the login.
        NotAllowed: it doesn't.
    """
    if now >= right.expires_at:
        raise NotAuthenticated("The token of this session has expired; ask the scheduler for a new one.")
    if right.operation is Operation.SHELVE:
        if not _is_for_shelf(command, name):
            raise NotAllowed(_REFUSED[right.operation])
        return
    complete = {right.digest + suffix for suffix in SUFFIXES}
    parts = {file + PART for file in complete}
    allowed = {
        Operation.UPLOAD: {"STOR": parts, "RNFR": parts, "RNTO": complete, "SIZE": parts | complete},
        Operation.DOWNLOAD: {"RETR": complete, "SIZE": complete},
    }
    if name not in allowed[right.operation].get(command, set()):
        raise NotAllowed(_REFUSED[right.operation])


def _is_for_shelf(command: str, name: str) -> bool:
    """Whether the command is one of the shelf's and its argument can be nothing but a name in its folder."""
    match command:
        case "ALLO":
            return _NUMBER.fullmatch(name) is not None
        case "MLSD":
            return not name
        case "SITE":
            return name == "REPLACE"
        case "STOR" | "RNFR":
            return is_shelf_part(name)
        case "RNTO" | "DELE":
            return is_zim_name(name)
        case "SIZE":
            return is_shelf_part(name) or is_zim_name(name)
    return False


def is_shelf_part(name: str) -> bool:
    """Whether a file that is on its way to the shelf has the name."""
    return _SHELF_PART.fullmatch(name) is not None
