"""Brings a ZIM file to the warehouse's shelf over one connection, and goes on where it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cardshop.contract.errors import Conflict, ContentDamaged, InvalidInput, NotFound, Unavailable
from cardshop.metalink import is_zim_name
from cardshop.transfer.session import Session

BLOCK_BYTES = 256 * 1024
CHECK_BYTES_PER_SECOND = 10_000_000
"""How slowly a warehouse may read a file that it checks, twice: its bytes, then what libzim says of them."""

LEAST_CHECK_SECONDS = 60.0

Observe = Callable[[int, int], None]
"""Called with (done, total), in bytes, often: the callee thins it out."""


@dataclass(frozen=True)
class ShelvedFile:
    """A file of the shelf."""

    name: str
    size_bytes: int
    changed_at: str  # ISO 8601


def check_patience(size_bytes: int) -> float:
    """Seconds that the warehouse may take to check a file of so many bytes."""
    return LEAST_CHECK_SECONDS + size_bytes / CHECK_BYTES_PER_SECOND


class Shelving:
    """One upload; :meth:`go_on` may be called again with a new session after the old one broke.

    Args:
        file: the ZIM file; it must not change meanwhile.
        sha256: of all of it.
        name: that it gets on the shelf.
        replace: whether another file of that name is replaced.
        observe: is told the progress.
    """

    def __init__(self, file: Path, sha256: str, name: str, *, replace: bool, observe: Observe) -> None:
        self._file = file
        self._part = f"{sha256}.zim.part"
        self._name = name
        self._replace = replace
        self._observe = observe
        self._size = file.stat().st_size

    def go_on(self, session: Session) -> None:
        """Sends what the warehouse does not have yet, and has the file checked and named.

        Raises:
            InvalidInput: it is no sound ZIM file or too large, or can't have its name; nothing of it stays.
            ContentDamaged: it did not arrive as it was sent, or it changed meanwhile.
            Conflict: another file has the name, or the shop has no shelf.
            NoSpace: the shelf's disk has too little room.
            Unavailable: the connection broke.
        """
        here, there = session.size(self._part), session.size(self._name)
        if not here and there == self._size and self._is_there(session):
            self._observe(self._size, self._size)
            return
        if there and not self._replace and (there != self._size or not here):
            raise Conflict(
                f"There is another {self._name} on the shelf.",
                hint="--replace puts this one in its place; --as NAME.zim gives it another name.",
                field="FILE",
            )
        self._send(session, here)
        try:
            self._complete(session)
        except ContentDamaged:
            if not here:
                raise
            # What arrived earlier may have been damaged since, by a power cut for example: once more, whole.
            self._send(session, 0)
            self._complete(session)

    def _is_there(self, session: Session) -> bool:
        """Whether the file of that name is this one: so it is after an answer that was lost."""
        try:
            self._complete(session)
        except NotFound:
            return False
        return True

    def _send(self, session: Session, offset: int) -> None:
        self._observe(offset, self._size)
        if offset < self._size:
            session.announce(self._size)
            session.send(self._part, offset, self._blocks(offset))

    def _blocks(self, offset: int) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            file.seek(offset)
            while block := file.read(BLOCK_BYTES):
                yield block
                self._observe(file.tell(), self._size)

    def _complete(self, session: Session) -> None:
        # A little longer than the warehouse gives itself, to hear what it says then.
        patience = check_patience(self._size) + LEAST_CHECK_SECONDS
        session.name(self._part, self._name, patience, replace=self._replace)


def shelved_files(session: Session) -> list[ShelvedFile]:
    """What is on the shelf, by name. Raises Conflict: the shop has no shelf; Unavailable."""
    lines = session.listing().decode().splitlines()
    return [_shelved(line) for line in lines]


def _shelved(line: str) -> ShelvedFile:
    """A line of MLSD (RFC 3659): facts, a space, the name."""
    told, _, name = line.partition(" ")
    facts = dict(fact.split("=", 1) for fact in told.rstrip(";").split(";"))
    try:
        moment = datetime.strptime(facts["modify"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return ShelvedFile(name, int(facts["size"]), moment.isoformat())
    except (KeyError, ValueError):
        raise Unavailable("The warehouse's list of its shelf can't be read.") from None


def check_name(name: str) -> None:
    """Raises InvalidInput when the shelf takes no file of that name."""
    if not is_zim_name(name):
        raise InvalidInput(
            f"{name!r} can't be a file's name on the shelf: it ends in .zim, begins with no dot, hyphen or "
            "space, has no slash or backslash in it, and at most 255 bytes.",
            hint="Give it another one: --as NAME.zim",
            field="FILE",
        )
