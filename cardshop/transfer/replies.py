"""What the warehouse replies when it refuses: written by one end, read by the other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cardshop.contract.errors import (
    CardshopError,
    Conflict,
    ContentDamaged,
    ImageDamaged,
    InvalidInput,
    NoSpace,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Unavailable,
)

Run = tuple[int, int]
"""Chunks that follow each other in the manifest: the offsets of the first and of the last."""

MOST_RUNS = 64
"""Named in one reply, so that it stays a line that every FTP client can read."""

_NAMED = re.compile(r"Send again the chunks at bytes ((?:[0-9]{1,15}-[0-9]{1,15} ?)+)\.")
_CODES: tuple[tuple[type[CardshopError], int], ...] = (
    (Unavailable, 450),
    (NotAuthenticated, 530),
    (NotAllowed, 550),
    (ImageDamaged, 551),
    (NotFound, 554),
    (Conflict, 553),
    (NoSpace, 552),
    (ContentDamaged, 555),
    (InvalidInput, 556),
)


def reply_code(error: CardshopError) -> int:
    """The FTP reply code that tells this error; 4xx when trying again can help."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 550)


def error_replied(reply: str) -> CardshopError:
    """The error that a reply of 4xx or 5xx tells."""
    code, sentence = reply[:3], reply[4:].strip()
    if code.startswith("4"):
        return Unavailable(f"The warehouse can't now: {sentence}")
    kind = next((kind for kind, number in _CODES if str(number) == code), NotAllowed)
    return kind(f"The warehouse refuses: {sentence}")


def chunks_to_send_again(runs: Iterable[Run]) -> str:
    """A sentence that names runs of chunks, at most :data:`MOST_RUNS`."""
    named = " ".join(f"{first}-{last}" for first, last in list(runs)[:MOST_RUNS])
    return f"Send again the chunks at bytes {named}."


def runs_named(reply: str) -> tuple[Run, ...]:
    """The runs that a reply with :func:`chunks_to_send_again` names; none in any other reply."""
    match = _NAMED.search(reply)
    words = match.group(1).split() if match else []
    pairs = (word.partition("-") for word in words)
    return tuple((int(first), int(last)) for first, _, last in pairs)
