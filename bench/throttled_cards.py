"""Cards with a bandwidth of their own each: loop devices that the kernel's block controller holds to a rate.

The controller (cgroup version 1, ``blkio.throttle``) limits what the processes of one group get from a
device. So who measures joins the group, and so do the programs that it starts. Unlike a slow file system it
takes no processor time, which the measured programs would miss.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.programs import run

CONTROLLER = Path("/sys/fs/cgroup/blkio")
PROCESSES = "cgroup.procs"
LOSETUP_SECONDS = 20


@dataclass(frozen=True)
class ThrottledCard:
    """A card: its device, and the file under it, by which a slot allows it."""

    device: Path
    file: Path


class Bus:
    """Where throttled cards can be made; ends with the block that :func:`bus` is used for."""

    def __init__(self, group: Path, bytes_a_second: int) -> None:
        self._group = group
        self._bytes_a_second = bytes_a_second

    @contextmanager
    def card(self, file: Path, size: int) -> Iterator[ThrottledCard]:
        """A card of ``size`` bytes in a new sparse file. It is read and written past the host's cache."""
        with file.open("xb") as made:
            made.truncate(size)
        words: list[str | Path] = ["losetup", "--find", "--show", "--direct-io=on", file]
        device = Path(run(words, timeout=LOSETUP_SECONDS).text.strip())
        try:
            number = (Path("/sys/block") / device.name / "dev").read_text().strip()
            for way in ("read", "write"):
                limit = self._group / f"blkio.throttle.{way}_bps_device"
                limit.write_text(f"{number} {self._bytes_a_second}")
            yield ThrottledCard(device, file)
        finally:
            run(["losetup", "--detach", device], timeout=LOSETUP_SECONDS)
            file.unlink()


@contextmanager
def bus(bytes_a_second: int) -> Iterator[Bus]:
    """Cards of so many bytes a second, each way, for this process and its children.

    Raises:
        FileNotFoundError: this kernel has no such controller, or it is not mounted.
    """
    group = CONTROLLER / f"cardshop-bench-{secrets.token_hex(4)}"
    group.mkdir()
    try:
        (group / PROCESSES).write_text("0")
        yield Bus(group, bytes_a_second)
    finally:
        for process in (group / PROCESSES).read_text().split():
            (CONTROLLER / PROCESSES).write_text(process)
        group.rmdir()
