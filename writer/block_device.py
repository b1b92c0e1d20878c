"""What Linux knows of a block device: ioctls on the open device, sysfs by its number.

Numbers of the ioctls: ``linux/fs.h``. ``BLKGETDISKSEQ`` (Linux 5.15) counts up whenever another medium is
in the device: two cards in one reader have the same device number, never the same sequence number.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

BLKROGET = 0x125E
BLKFLSBUF = 0x1261
BLKGETSIZE64 = 0x80081272
BLKGETDISKSEQ = 0x80081280

_SYSFS = Path("/sys/dev/block")


def size_bytes(device: int) -> int:
    """Size of an open device; 0 when no medium is in it."""
    return int(struct.unpack("Q", fcntl.ioctl(device, BLKGETSIZE64, bytes(8)))[0])


def disk_sequence(device: int) -> int:
    """Number of the medium in an open device."""
    return int(struct.unpack("Q", fcntl.ioctl(device, BLKGETDISKSEQ, bytes(8)))[0])


def is_read_only(device: int) -> bool:
    """Whether the kernel refuses to write to an open device."""
    return bool(struct.unpack("i", fcntl.ioctl(device, BLKROGET, bytes(4)))[0])


def drop_cache(device: int) -> None:
    """Forgets what the kernel holds of an open device; needs root."""
    fcntl.ioctl(device, BLKFLSBUF, 0)


def folder(number: int) -> Path:
    """The sysfs folder of the device with this number (``st_rdev``); it may not exist."""
    return (_SYSFS / f"{os.major(number)}:{os.minor(number)}").resolve()


def attribute(number: int, name: str) -> str:
    """A sysfs attribute of a device, empty when it has none of this name."""
    try:
        return (folder(number) / name).read_text(errors="replace").strip()
    except OSError:
        return ""


def is_partition(number: int) -> bool:
    """Whether it is a part of a disk."""
    return (folder(number) / "partition").exists()


def with_partitions(number: int) -> set[int]:
    """The numbers of a disk and its partitions."""
    partitions = folder(number).glob("*/partition")
    return {number, *(_number(path.parent) for path in partitions)}


def users(number: int) -> list[str]:
    """Names of the devices (RAID, LVM, encryption) that are built on a disk or a partition of it."""
    return sorted(
        holder.name for part in with_partitions(number) for holder in (folder(part) / "holders").glob("*")
    )


def mounted() -> dict[int, str]:
    """Device numbers of mounted file systems, and of the devices below them, with a mount point."""
    found: dict[int, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        major, minor = fields[2].split(":")
        _add_below(os.makedev(int(major), int(minor)), fields[4], found)
    return found


def swapped() -> set[int]:
    """Device numbers of the devices that hold swap space."""
    numbers = set()
    for line in Path("/proc/swaps").read_text().splitlines()[1:]:
        try:
            numbers.add(Path(line.split()[0]).stat().st_rdev)
        except OSError:
            continue  # a file that was deleted: no device
    return numbers - {0}


def _add_below(number: int, mount_point: str, found: dict[int, str]) -> None:
    path = folder(number)
    if number in found or not path.exists():
        return
    found[number] = mount_point
    if is_partition(number):
        found.setdefault(_number(path.parent), mount_point)
    for slave in (path / "slaves").glob("*"):
        _add_below(_number(slave), mount_point, found)


def _number(sysfs: Path) -> int:
    major, minor = (sysfs / "dev").read_text().split(":")
    return os.makedev(int(major), int(minor))
