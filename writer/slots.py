"""Slots: physical places for a card, and what is in them now."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from cardshop.contract.errors import CardRefused
from cardshop.contract.events import Card
from writer import block_device

LOOK_SECONDS = 0.5
"""Longest pause between two looks at a slot: many card readers tell of a change only when they are asked."""

PATIENCE_SECONDS = 45.0
"""A card or reader that doesn't answer for so long hangs: the slowest cards pause for some seconds."""

Pause = Callable[[float], object]
"""Waits that many seconds."""

_NO_CARD = (errno.ENOENT, errno.ENOMEDIUM, errno.ENXIO, errno.ENODEV)


@dataclass(frozen=True)
class Identity:
    """What an open card must have in common with the one that was seen. Never the same for two cards."""

    device: int  # of the file system that holds the file or the device node
    inode: int
    number: int  # of the block device; 0 for a file
    sequence: int  # of the medium in the block device; 0 for a file
    size_bytes: int

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """The identity of an open file or block device."""
        status = os.fstat(descriptor)
        if stat.S_ISBLK(status.st_mode):
            sequence, size = block_device.disk_sequence(descriptor), block_device.size_bytes(descriptor)
            return cls(status.st_dev, status.st_ino, status.st_rdev, sequence, size)
        return cls(status.st_dev, status.st_ino, 0, 0, status.st_size)


@dataclass(frozen=True)
class Inserted:
    """A card in a slot as it was seen."""

    card: Card
    place: Path  # as the configuration names the slot's device; a virtual card's file
    path: Path  # of the file or the device itself, no symbolic link
    identity: Identity
    fixed_device: str = ""  # what the configuration allows here though it can't be taken out
    model: str = ""  # of the card, or of the reader where that doesn't tell it

    @property
    def kind(self) -> str:
        """What cards have in common that should be equally fast: their model and their size to the byte."""
        return f"{self.model} {self.card.size_bytes}".strip()

    @property
    def is_device(self) -> bool:
        """Whether it is a block device, or a virtual card's file."""
        return self.identity.number != 0


class Slot(Protocol):
    """A place for one card."""

    @property
    def name(self) -> str:
        """As people call it."""

    def inserted(self) -> Inserted | None:
        """The card that is in it now. Raises CardRefused for what is no card at all."""


@dataclass(frozen=True)
class VirtualSlot:
    """A folder. The one file in it is the card: its name the serial number, its size the card's true size.

    A file that nobody may write to (mode 0444) is a card whose switch is at read-only, for root too. Names
    that begin with a dot are not seen: a card that is made in the folder gets its name when it is whole.
    """

    name: str
    path: Path

    def inserted(self) -> Inserted | None:
        """The card in the folder. Raises CardRefused: several things, or no plain file."""
        try:
            found = [path for path in self.path.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return None
        if len(found) > 1:
            raise CardRefused(
                f"In slot {self.name} are {len(found)} files; which is the card?",
                hint="Leave one file in the slot's folder.",
            )
        for path in found:
            with _looked_at(path) as descriptor:
                if descriptor is None:
                    return None
                _must_be(stat.S_ISREG, descriptor, f"{path.name} in slot {self.name} is no plain file.")
                identity = Identity.of(descriptor)
                return Inserted(Card(path.name, identity.size_bytes), path, path, identity)
        return None


@dataclass(frozen=True)
class DeviceSlot:
    """A card reader's place, as a path that always leads there (``/dev/disk/by-path/...``).

    ``fixed_device`` is the name (see ``block_device.fixed_name``) of a device that is allowed here though it
    doesn't say that it is removable.
    """

    name: str
    path: Path
    fixed_device: str = ""

    def inserted(self) -> Inserted | None:
        """The card in the reader. Raises CardRefused: the path leads to no block device."""
        device = self.path.resolve()
        with _looked_at(device) as descriptor:
            if descriptor is None:
                return None
            _must_be(stat.S_ISBLK, descriptor, f"{self.path}, slot {self.name}, is no block device.")
            identity = Identity.of(descriptor)
        if identity.size_bytes == 0:
            return None
        card = Card(_serial(identity), identity.size_bytes)
        model = block_device.model(identity.number)
        return Inserted(card, self.path, device, identity, self.fixed_device, model)


def slot_at(name: str, path: Path, fixed_device: str = "") -> Slot:
    """The slot at a path: a folder is a virtual one."""
    return VirtualSlot(name, path) if path.is_dir() else DeviceSlot(name, path, fixed_device)


@contextmanager
def _looked_at(path: Path) -> Iterator[int | None]:
    try:
        # Without O_NONBLOCK a look at a named pipe would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_CARD:
            yield None
            return
        raise CardRefused(
            f"{path} can't be opened: {os.strerror(error.errno or 0)}.",
            hint="A symbolic link is no card." if error.errno == errno.ELOOP else "May the writer read it?",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _must_be(kind: Callable[[int], bool], descriptor: int, otherwise: str) -> None:
    if not kind(os.fstat(descriptor).st_mode):
        raise CardRefused(otherwise, hint="Check the slot's path in the writer's configuration.")


def _serial(identity: Identity) -> str:
    """A card's own number, where its reader tells it; else one that is new for each card put in."""
    backing_file = block_device.attribute(identity.number, "loop/backing_file")
    return (
        block_device.attribute(identity.number, "device/cid")
        or Path(backing_file).name
        or f"medium-{identity.sequence}"
    )
