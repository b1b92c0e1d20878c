"""What Linux knows of a block device: ioctls on the open device, sysfs by its number.

Numbers of the ioctls: ``linux/fs.h``. ``BLKGETDISKSEQ`` (Linux 5.15) counts up whenever another medium is
in the device: two cards in one reader have the same device number, never the same sequence number.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path

BLKROGET = 0x125E
BLKFLSBUF = 0x1261
BLKSSZGET = 0x1268
BLKDISCARD = 0x1277
BLKGETSIZE64 = 0x80081272
BLKGETDISKSEQ = 0x80081280
LOOP_GET_STATUS64 = 0x4C05  # ``linux/loop.h``
_LOOP_INFO_BYTES = 232

_SYSFS = Path("/sys/dev/block")
_SYSFS_SECTOR = 512  # whatever the disk's own sector is


def size_bytes(device: int) -> int:
    """Size of an open device; 0 when no medium is in it."""
    return int(struct.unpack("Q", fcntl.ioctl(device, BLKGETSIZE64, bytes(8)))[0])


def sector_bytes(device: int) -> int:
    """The logical sector of an open device."""
    return int(struct.unpack("i", fcntl.ioctl(device, BLKSSZGET, bytes(4)))[0])


def disk_sequence(device: int) -> int:
    """Number of the medium in an open device."""
    return int(struct.unpack("Q", fcntl.ioctl(device, BLKGETDISKSEQ, bytes(8)))[0])


def is_read_only(device: int) -> bool:
    """Whether the kernel refuses to write to an open device."""
    return bool(struct.unpack("i", fcntl.ioctl(device, BLKROGET, bytes(4)))[0])


def refuses_writes(descriptor: int) -> bool:
    """Whether an open device is read-only, or nobody may write to an open file."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISBLK(mode):
        return is_read_only(descriptor)
    return not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def drop_cache(device: int) -> None:
    """Forgets what the kernel holds of an open device; needs root."""
    fcntl.ioctl(device, BLKFLSBUF, 0)


def can_discard(number: int) -> bool:
    """Whether the device with this number can be told that its bytes are of no use any more."""
    return int(attribute(number, "queue/discard_max_bytes") or 0) > 0


def discard(device: int, offset: int, length: int) -> None:
    """Tells an open device that these bytes are of no use any more. Raises OSError: it doesn't take that."""
    fcntl.ioctl(device, BLKDISCARD, struct.pack("QQ", offset, length))


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


def is_removable(number: int) -> bool:
    """Whether it is a drive whose medium can be taken out, or a card in a slot of the host itself.

    A chip that is soldered in (eMMC) hangs at the same bus as a card, and says ``MMC``.
    """
    if folder(number).name.startswith("mmcblk"):
        return attribute(number, "device/type") == "SD"
    return attribute(number, "removable") == "1"


def fixed_name(number: int) -> str:
    """What a configuration calls a device that doesn't say it is removable; empty when it has no name.

    For a loop device that is its file, for any other its vendor and model: the name stays with the thing,
    whatever Linux calls it after the next start.
    """
    if file := attribute(number, "loop/backing_file"):
        return file
    parts = (attribute(number, "device/vendor"), attribute(number, "device/model"))
    return " ".join(part for part in parts if part)


def model(number: int) -> str:
    """The card's maker and name; where only its reader is known (USB), that one's vendor and model."""
    maker, name = attribute(number, "device/manfid"), attribute(number, "device/name")
    return f"{maker} {name}" if maker and name else fixed_name(number)


def is_loop_over_device(number: int) -> bool:
    """Whether it is a loop device whose file is a device."""
    return _number_at(attribute(number, "loop/backing_file")) != 0


def partition_starts(number: int) -> list[int]:
    """Offsets of a disk's partitions in bytes."""
    return [int(path.read_text()) * _SYSFS_SECTOR for path in folder(number).glob("*/start")]


def with_partitions(number: int) -> set[int]:
    """The numbers of a disk and its partitions."""
    partitions = folder(number).glob("*/partition")
    return {number, *(_number(path.parent) for path in partitions)}


def users(number: int) -> list[str]:
    """Names of the devices (RAID, LVM, encryption) that are built on a disk or a partition of it.

    So are loop devices over them, and another loop device over the same file: neither shows as a holder.
    """
    parts = with_partitions(number)
    holders = {holder.name for part in parts for holder in (folder(part) / "holders").glob("*")}
    own = folder(number).name
    own_file = _file_of(own)
    for name, file in _loop_files():
        if name != own and ((own_file and _file_of(name) == own_file) or _number_at(file) in parts - {0}):
            holders.add(name)
    return sorted(holders)


def mounted() -> dict[int, str]:
    """Device numbers of mounted file systems, and of the devices below them, with a mount point.

    Those of this mount namespace: that another one uses a device, only opening it with ``O_EXCL`` tells.
    """
    found: dict[int, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        major, minor = fields[2].split(":")
        _add_below(os.makedev(int(major), int(minor)), fields[4], found)
        # Btrfs and others show a number of their own there; their device stands after the dash.
        _add_below(_number_at(fields[fields.index("-") + 2]), fields[4], found)
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


def _loop_files() -> list[tuple[str, str]]:
    paths = Path("/sys/block").glob("loop*/loop/backing_file")
    return [(path.parent.parent.name, path.read_text().strip()) for path in paths]


def _file_of(loop: str) -> tuple[int, ...]:
    """The file of a loop device: its file system and its inode, for names lie. Empty for any other device."""
    if not loop.startswith("loop"):
        return ()
    try:
        descriptor = os.open(f"/dev/{loop}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        status = fcntl.ioctl(descriptor, LOOP_GET_STATUS64, bytes(_LOOP_INFO_BYTES))
        return struct.unpack("QQ", status[:16])
    except OSError:
        return ()
    finally:
        os.close(descriptor)


def _number_at(path: str) -> int:
    """The number of the device at a path, 0 when there is none."""
    try:
        return Path(path).stat().st_rdev if path.startswith("/") else 0
    except OSError:
        return 0


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
