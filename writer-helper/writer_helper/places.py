"""Places for a card on this host: ports of card readers, named by where they are, and virtual slots.

``/dev/disk/by-path`` is made by udev: its names hold the way to the port (``ID_PATH``) and, as the last
number of ``scsi-H:B:T:L``, the LUN: readers with several openings have one LUN for each.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BY_PATH = Path("/dev/disk/by-path")
SYSFS = Path("/sys/dev/block")

_PARTITION = re.compile(r"-part\d+$")
_LUN = re.compile(r"-scsi-\d+:\d+:\d+:(\d+)$")
_USB_VERSION = re.compile(r"-usbv\d+-")
_CARD_HOSTS = ("mmcblk",)
"""Built-in card readers: their devices hold cards and don't say that they are removable."""

SECTOR_BYTES = 512
"""Unit of ``size`` in sysfs, whatever the device's own sectors are."""


@dataclass(frozen=True)
class Place:
    """A place where a card can be.

    Attributes:
        path: always leads to this place; what a slot's ``path`` in the configuration says.
        lun: which opening of the reader, None where there are none.
        device: the device there now, such as ``sdb``; empty for a virtual slot, or when nothing is there.
        card_bytes: size of the card in it; 0 when it is empty.
        model: what the reader says of itself.
        virtual: whether it is a folder whose one file is the card.
    """

    path: Path
    lun: int | None = None
    device: str = ""
    card_bytes: int = 0
    model: str = ""
    virtual: bool = False

    @property
    def name(self) -> str:
        """The place as people compare it: without the folder that all places share."""
        return self.path.name if self.path.parent == BY_PATH else str(self.path)


def holds_cards(place: Place) -> bool:
    """Whether a place is a card reader's, and not a disk of the host."""
    removable = _attribute(place.path, "removable") == "1"
    return removable or place.device.startswith(_CARD_HOSTS)


def card_readers(folder: Path = BY_PATH, removable: Callable[[Place], bool] = holds_cards) -> list[Place]:
    """The ports of this host's card readers, in the order of their names; none where no udev runs."""
    found: dict[str, Path] = {}
    try:
        links = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    for link in links:
        if _PARTITION.search(link.name):
            continue
        device = link.resolve()
        known = found.get(device.name)
        # Newer versions of udev make a second name with the USB version in it; one place has one name.
        if known is None or _USB_VERSION.search(known.name):
            found[device.name] = link
    places = [place for place in map(place_at, found.values()) if place and not place.virtual]
    return sorted(filter(removable, places), key=lambda place: place.path)


def place_at(path: Path) -> Place | None:
    """The place that a path leads to now: a folder or a block device. None when there is nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return _virtual(path)
    if stat.S_ISBLK(mode):
        return _at_device(path)
    return None


def removable_disks(folder: Path = Path("/sys/block")) -> list[str]:
    """Names of this host's disks that can hold a card, such as ``sdb``."""
    found = []
    for disk in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            removable = (disk / "removable").read_text().strip() == "1"
        except OSError:
            continue
        usual = disk.name.startswith(_CARD_HOSTS) or (removable and (disk / "device").exists())
        if usual and not disk.name.startswith("sr"):
            found.append(disk.name)
    return found


def _virtual(path: Path) -> Place:
    try:
        cards = [file for file in path.iterdir() if not file.name.startswith(".")]
        size = cards[0].stat().st_size if cards else 0
    except OSError:
        size = 0
    return Place(path, card_bytes=size, model="virtual slot", virtual=True)


def _at_device(path: Path) -> Place:
    lun = _LUN.search(path.name)
    vendor, model = _attribute(path, "device/vendor"), _attribute(path, "device/model")
    return Place(
        path,
        lun=int(lun[1]) if lun else None,
        device=path.resolve().name,
        card_bytes=int(_attribute(path, "size") or 0) * SECTOR_BYTES,
        model=f"{vendor} {model}".strip() or _attribute(path, "device/name"),
    )


def sysfs_folder(path: Path) -> Path:
    """What Linux knows of the block device that a path leads to. Raises OSError."""
    number = path.stat().st_rdev
    return (SYSFS / f"{os.major(number)}:{os.minor(number)}").resolve()


def _attribute(path: Path, name: str) -> str:
    try:
        return (sysfs_folder(path) / name).read_text(errors="replace").strip()
    except OSError:
        return ""
