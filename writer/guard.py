"""Is this the right device? Asked before the first byte, and again of what was opened."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardshop.contract.errors import CardRefused
from writer import block_device, rules
from writer.rules import READ_ONLY_HINT
from writer.slots import Identity, Inserted

FILE_BLOCK_BYTES = 4096
"""File systems want direct I/O in whole blocks of this."""


@dataclass(frozen=True)
class OpenCard:
    """A card that may be written to. ``descriptor`` is open for reading and writing, for nobody else."""

    inserted: Inserted
    descriptor: int
    direct: bool  # past the page cache (O_DIRECT)

    @property
    def sector_bytes(self) -> int:
        """The least that can be read or written at once."""
        return block_device.sector_bytes(self.descriptor) if self.inserted.is_device else FILE_BLOCK_BYTES

    def check_there(self) -> None:
        """Raises CardRefused when it is no longer the card that is in the slot."""
        candidate = rules.Candidate(self.inserted, 0, self.descriptor)
        try:
            problem = rules.slots_own(candidate) or rules.same_card(candidate)
        except OSError:  # the device that is open is no more
            raise taken_out(self.inserted) from None
        if problem:
            raise taken_out(self.inserted)

    def check_really_there(self) -> None:
        """As :meth:`check_there`, after an error: opening a reader makes it look for its medium."""
        self.check_there()
        try:
            again = os.open(self.inserted.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise taken_out(self.inserted) from None
        try:
            if Identity.of(again) != self.inserted.identity:
                raise taken_out(self.inserted)
        finally:
            os.close(again)

    def check_writable(self) -> None:
        """Raises CardRefused when the card became read-only."""
        if block_device.refuses_writes(self.descriptor):
            raise CardRefused(f"The card {self.inserted.card.serial} became read-only.", hint=READ_ONLY_HINT)

    @property
    def can_discard(self) -> bool:
        """Whether the card takes it that its old bytes are of no use any more."""
        return self.inserted.is_device and block_device.can_discard(self.inserted.identity.number)

    def discard(self, offset: int, length: int) -> None:
        """Old bytes are of no use any more. Raises OSError."""
        block_device.discard(self.descriptor, offset, length)

    def flush(self) -> None:
        """All that was written is on the card, and nothing of it is kept in memory. Raises OSError."""
        os.fsync(self.descriptor)
        if self.inserted.is_device:
            # A second lock on a door that direct I/O keeps shut; only root may turn it.
            with contextlib.suppress(PermissionError):
                block_device.drop_cache(self.descriptor)
        else:
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def refusal(inserted: Inserted, image_bytes: int) -> CardRefused | None:
    """What speaks against writing to the card, as far as can be told without opening it for writing."""
    try:
        descriptor = os.open(inserted.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _refused(inserted, error)
    try:
        rules.check(rules.Candidate(inserted, image_bytes, descriptor))
    except CardRefused as error:
        return error
    finally:
        os.close(descriptor)
    return None


@contextmanager
def opened(inserted: Inserted, image_bytes: int) -> Iterator[OpenCard]:
    """The card that was seen in the slot, open for us alone, for an image of ``image_bytes``.

    Raises:
        CardRefused: it must not be written to; the sentence names the rule, the hint what to do.
    """
    rules.check(rules.Candidate(inserted, image_bytes))
    descriptor, direct = _open(inserted)
    try:
        rules.check(rules.Candidate(inserted, image_bytes, descriptor))
        if not inserted.is_device:
            _lock(descriptor, inserted)
        yield OpenCard(inserted, descriptor, direct)
    finally:
        os.close(descriptor)


def taken_out(inserted: Inserted) -> CardRefused:
    """The error that a card is no longer in its slot."""
    return CardRefused(
        f"The card {inserted.card.serial} was taken out in the middle.",
        hint="Put it in again, or another one, and try again.",
    )


def _open(inserted: Inserted) -> tuple[int, bool]:
    """The descriptor, and whether it goes past the page cache: not every file system lets a file do so."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    if inserted.is_device:
        flags |= os.O_EXCL
    try:
        try:
            return os.open(inserted.path, flags | os.O_DIRECT), True
        except OSError as error:
            if error.errno != errno.EINVAL or inserted.is_device:
                raise
            return os.open(inserted.path, flags), False
    except OSError as error:
        raise _refused(inserted, error) from error


def _refused(inserted: Inserted, error: OSError) -> CardRefused:
    serial = inserted.card.serial
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return CardRefused(f"The card {serial} is read-only for the writer.", hint=READ_ONLY_HINT)
    if error.errno == errno.EBUSY:
        return CardRefused(
            f"{inserted.path} is used by another program of this host.",
            hint="Unmount it, if it is really the card; switch automatic mounting off on this host.",
        )
    if error.errno == errno.ELOOP:
        return CardRefused(f"{inserted.path} became a symbolic link.", hint="Who changes the slot?")
    return CardRefused(
        f"The card {serial} can't be opened: {os.strerror(error.errno or 0)}.",
        hint="Take it out and put it in again.",
    )


def _lock(descriptor: int, inserted: Inserted) -> None:
    """What ``O_EXCL`` does for a device, for a file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CardRefused(
            f"Another program writes to the card {inserted.card.serial}.", hint="One writer a slot."
        ) from error
