"""A card that is open for reading: a block device, or an image file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cardshop.contract.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from cardshop.fat32 import Read

_GONE = (errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM)


@dataclass(frozen=True)
class OpenedCard:
    """What is read from it comes from the card, and not from the memory of the machine."""

    read: Read
    serial: str  # the card's own number; empty where its reader doesn't tell it


@contextmanager
def opened_card(path: Path) -> Iterator[OpenedCard]:
    """Opens a card.

    Raises:
        NotFound, NotAllowed, InvalidInput: there is none, it may not be read, it is something else.
        Unavailable: out of a read: it was taken out.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no {path}.", hint="Is the card in? See: lsblk") from None
    except PermissionError:
        raise NotAllowed(f"{path} may not be read by you.", hint="Try it with sudo.") from None
    except OSError as error:
        raise NotFound(f"{path} can't be opened: {error.strerror}.", hint="Is the card in?") from None
    try:
        status = os.fstat(descriptor)
        if not (stat.S_ISBLK(status.st_mode) or stat.S_ISREG(status.st_mode)):
            raise InvalidInput(f"{path} is neither a block device nor an image file.")
        # What was read or written before is dropped, so that the card itself answers.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        yield OpenedCard(partial(_read, descriptor, path), _serial(status))
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path, offset: int, length: int) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        if error.errno in _GONE:
            sentence = f"The card in {path} was taken out."
            raise Unavailable(sentence, hint="Put it in, and begin again.") from error
        raise


def _serial(status: os.stat_result) -> str:
    if not stat.S_ISBLK(status.st_mode):
        return ""
    device = Path(f"/sys/dev/block/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}").resolve()
    try:
        return (device / "device" / "cid").read_text().strip()
    except OSError:
        return ""
