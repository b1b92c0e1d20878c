"""Is this the right device? Asked before the first byte, and again of what was opened."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardshop.contract.errors import CardRefused
from writer import block_device
from writer.slots import Identity, Inserted

READ_ONLY_HINT = "Slide the card's or its adapter's switch, or take another card."

_CARD_DEVICES = ("mmcblk", "loop")
"""Kinds of devices that hold cards and don't say that they are removable."""


@dataclass(frozen=True)
class OpenCard:
    """A card that may be written to. ``descriptor`` is open for reading and writing, for nobody else."""

    inserted: Inserted
    descriptor: int
    direct: bool  # past the page cache (O_DIRECT)

    def check_there(self) -> None:
        """Raises CardRefused when it is no longer the card that is in the slot."""
        try:
            in_slot = self.inserted.path.lstat()
            opened = os.fstat(self.descriptor)
            there = (
                os.path.samestat(in_slot, opened) and Identity.of(self.descriptor) == self.inserted.identity
            )
        except OSError:
            there = False
        if not there:
            raise taken_out(self.inserted)

    def check_writable(self) -> None:
        """Raises CardRefused when the card became read-only."""
        if _is_read_only(self.descriptor):
            raise CardRefused(f"The card {self.inserted.card.serial} became read-only.", hint=READ_ONLY_HINT)

    def flush(self) -> None:
        """All that was written is on the card, and nothing of it is kept in memory. Raises OSError."""
        os.fsync(self.descriptor)
        if self.inserted.is_device:
            # A second lock on a door that direct I/O keeps shut; only root may turn it.
            with contextlib.suppress(PermissionError):
                block_device.drop_cache(self.descriptor)
        else:
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def opened(inserted: Inserted, image_bytes: int) -> Iterator[OpenCard]:
    """The card that was seen in the slot, open for us alone, for an image of ``image_bytes``.

    Raises:
        CardRefused: it must not be written to; the sentence names the rule, the hint what to do.
    """
    card = inserted.card
    if card.size_bytes < image_bytes:
        raise CardRefused(
            f"The card {card.serial} has {card.size_bytes} bytes, the image {image_bytes}.",
            hint="Put in a larger card.",
        )
    if inserted.is_device:
        _check_disk(inserted.identity.number, inserted)
    descriptor, direct = _open(inserted)
    try:
        _check_opened(descriptor, inserted)
        yield OpenCard(inserted, descriptor, direct)
    finally:
        os.close(descriptor)


def taken_out(inserted: Inserted) -> CardRefused:
    """The error that a card is no longer in its slot."""
    return CardRefused(
        f"The card {inserted.card.serial} was taken out in the middle.",
        hint="Put it in again, or another one, and try again.",
    )


def _check_disk(number: int, inserted: Inserted) -> None:
    path = inserted.path
    if block_device.is_partition(number):
        raise CardRefused(f"{path} is a part of a disk, not a card.", hint="Name the whole device.")
    removable = block_device.attribute(number, "removable") == "1"
    if not (removable or block_device.folder(number).name.startswith(_CARD_DEVICES)):
        raise CardRefused(f"{path} is a disk that can't be taken out.", hint="Name a card reader's device.")
    numbers = block_device.with_partitions(number)
    for mounted, mount_point in block_device.mounted().items():
        if mounted in numbers:
            raise CardRefused(
                f"{path} holds a file system that is mounted at {mount_point}.",
                hint="Unmount it, if it is really the card; switch automatic mounting off on this host.",
            )
    if numbers & block_device.swapped():
        raise CardRefused(f"{path} holds swap space in use.", hint="This is a disk of the host, not a card.")
    if users := block_device.users(number):
        raise CardRefused(
            f"{path} is a part of {', '.join(users)}.", hint="This is a disk of the host, not a card."
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


def _check_opened(descriptor: int, inserted: Inserted) -> None:
    if Identity.of(descriptor) != inserted.identity:
        raise CardRefused(
            f"Another card than {inserted.card.serial} is in the slot now.",
            hint="Leave the card in its slot.",
        )
    if _is_read_only(descriptor):
        raise CardRefused(f"The card {inserted.card.serial} is read-only.", hint=READ_ONLY_HINT)
    if inserted.is_device:
        return
    if os.fstat(descriptor).st_nlink != 1:
        raise CardRefused(
            f"The file {inserted.card.serial} has other names outside of the slot.",
            hint="Copy it into the slot's folder.",
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CardRefused(
            f"Another program writes to the card {inserted.card.serial}.", hint="One writer a slot."
        ) from error


def _is_read_only(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISBLK(mode):
        return block_device.is_read_only(descriptor)
    return not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
