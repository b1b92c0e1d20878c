"""What a token allows: one operation on the files of one image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cardshop.contract.errors import NotAllowed, NotAuthenticated
from cardshop.image_format import PICTURE_SUFFIX, SBOM_SUFFIX

SUFFIXES = (".json", ".bmap", SBOM_SUFFIX, PICTURE_SUFFIX, ".img")
"""Of an image's files, in the order in which an upload completes them."""

PART = ".part"
"""Ends the name of a file whose upload is not complete."""


class Operation(StrEnum):
    """What a token is for."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


@dataclass(frozen=True)
class Right:
    """What the scheduler says that a token is good for."""

    operation: Operation
    digest: str  # of the one image, 64 hex digits
    expires_at: datetime


_REFUSED = {
    Operation.UPLOAD: "The token of this session lets it write the parts of one image and complete them.",
    Operation.DOWNLOAD: "The token of this session lets it read the files of one image.",
}


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
    complete = {right.digest + suffix for suffix in SUFFIXES}
    parts = {file + PART for file in complete}
    allowed = {
        Operation.UPLOAD: {"STOR": parts, "RNFR": parts, "RNTO": complete, "SIZE": parts | complete},
        Operation.DOWNLOAD: {"RETR": complete, "SIZE": complete},
    }
    if name not in allowed[right.operation].get(command, set()):
        raise NotAllowed(_REFUSED[right.operation])
