"""Cards that fail as real ones do: a loop device over a file of a small FUSE file system.

The file system has one file, the card; each read and write of it is done by a :class:`FailingCard` as its
:class:`Fault` says. It runs in a process of its own (``python -m tests.failing_cards FAULT MEMORY MOUNT``),
reads other faults on standard input, says of each that it counts from now on, and ends when it is unmounted.
mfusepy (the kept fork of fusepy) binds libfuse3 with ctypes alone: nothing has to be compiled, as it would
with pyfuse3.
"""

from __future__ import annotations

import ctypes.util
import dataclasses
import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mfusepy

from cardshop.programs import run
from tests.cards import CARD_BYTES, MIB, loop_device

CARD = "sample"
CHANGED = "changed"
REPOSITORY = Path(__file__).parents[1]

LARGEST_REQUEST_KIB = 128
"""What FUSE takes at once. The loop driver takes a short write of a larger request for a success."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with a card. Bytes are offsets of the card."""

    seconds_per_mib: float = 0.0  # slow
    bad_at: int = -1  # an error for each request that touches this byte
    dies_after: int = -1  # bytes written
    holds: int = -1  # what it really holds
    wraps: bool = False  # beyond that it begins again; else what is written there is lost
    fails_requests: int = 0  # the next so many
    stuck_at: int = -1  # bytes written: one request hangs then, until there is another fault


class FailingCard(mfusepy.Operations):  # type: ignore[misc]
    """The file system.

    Args:
        fault: of the card.
        memory: the file that holds what the card holds.
    """

    use_ns = True

    def __init__(self, fault: Fault, memory: Path) -> None:
        self.fault = fault
        self._memory = os.open(memory, os.O_RDWR)
        self._size = os.fstat(self._memory).st_size
        self._written = 0
        self._dead = False
        self._was_stuck = False
        self._goes_on = threading.Event()
        self._failed = 0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def change(self, fault: Fault) -> None:
        """Another fault from now on."""
        self.fault, self._failed = fault, 0
        self.let_go()

    def let_go(self) -> None:
        """What is stuck goes on."""
        self._goes_on.set()

    def getattr(self, path: str, _fh: int | None = None) -> dict[str, Any]:
        """One folder, one file."""
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == f"/{CARD}":
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self._size}
        raise mfusepy.FuseOSError(errno.ENOENT)

    def readdir(self, _path: str, _fh: int) -> list[str]:
        """The file."""
        return [".", "..", CARD]

    def open(self, _path: str, _flags: int) -> int:
        """It can be opened as often as you like."""
        return 0

    def read(self, _path: str, size: int, offset: int, _fh: int) -> bytes:
        """What the card gives back."""
        self._fail(offset, size)
        at = self._place(offset, size)
        return bytes(size) if at is None else os.pread(self._memory, size, at)

    def write(self, _path: str, data: bytes, offset: int, _fh: int) -> int:
        """Takes what the card takes."""
        self._written += len(data)
        fault = self.fault
        if 0 <= fault.stuck_at <= self._written and not self._was_stuck:
            self._was_stuck = True
            self._goes_on.wait()
        self._dead = self._dead or 0 <= fault.dies_after < self._written
        self._fail(offset, len(data))
        at = self._place(offset, len(data))
        return len(data) if at is None else os.pwrite(self._memory, data, at)

    def fsync(self, _path: str, _datasync: int, _fh: int) -> int:
        """Nothing is kept back."""
        return 0

    def _place(self, offset: int, size: int) -> int | None:
        """Where in the memory; None where there is none."""
        if self.fault.holds < 0 or offset + size <= self.fault.holds:
            return offset
        return offset % self.fault.holds if self.fault.wraps else None

    def _fail(self, offset: int, size: int) -> None:
        if self.fault.seconds_per_mib:
            self._take_time(self.fault.seconds_per_mib * size / MIB)
        self._failed += 1
        if self._failed <= self.fault.fails_requests:
            raise mfusepy.FuseOSError(errno.EIO)
        if self._dead or offset <= self.fault.bad_at < offset + size:
            raise mfusepy.FuseOSError(errno.EIO)

    def _take_time(self, seconds: float) -> None:
        """One request after the other, at the card's rate whatever the host's own part takes."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + seconds
            pause = self._free_at - now
        time.sleep(pause)


class Emulated:
    """A card in a reader. ``fail`` changes what is wrong with it."""

    def __init__(self, device: Path, file: Path, memory: Path, process: subprocess.Popen[str]) -> None:
        self.device = device
        self.file = file  # what the loop device is over: the name by which a slot allows it
        self.memory = memory
        self._process = process

    def fail(self, fault: Fault) -> None:
        """From now on: when this returns, each new request meets the fault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dataclasses.asdict(fault)) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == CHANGED


@contextmanager
def emulated_card(
    memory: Path, mount: Path, fault: Fault, *options: str, size: int = CARD_BYTES, fill: bytes = b"\xff"
) -> Iterator[Emulated]:
    """A loop device (with ``options`` of losetup) over a card with this fault, full of ``fill``.

    ``memory`` is a new file for what it holds, ``mount`` the reader: a second card in it bears the same name.
    """
    memory.write_bytes(fill * size)
    mount.mkdir(exist_ok=True)
    under = mount.stat().st_dev
    words = [json.dumps(dataclasses.asdict(fault)), str(memory), str(mount)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.failing_cards", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        # Where libfuse2 is installed too mfusepy takes that, which mounts over nothing that isn't empty.
        env={**os.environ, "FUSE_LIBRARY_PATH": ctypes.util.find_library("fuse3") or ""},
    )
    try:
        _wait_for(mount, under, process)
        with loop_device(mount / CARD, *options) as device:
            limit = Path("/sys/block") / device.name / "queue" / "max_sectors_kb"
            limit.write_text(str(LARGEST_REQUEST_KIB))
            yield Emulated(device, mount / CARD, memory, process)
    finally:
        run(["umount", "--lazy", mount], timeout=120)
        process.communicate(timeout=120)


def _wait_for(mount: Path, under: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while mount.stat().st_dev == under:
        assert process.poll() is None, "the file system of the emulated card ended"
        assert time.monotonic() < end, "the emulated card never came"
        time.sleep(0.02)


def main(words: list[str]) -> None:
    """The process of the file system."""
    card = FailingCard(Fault(**json.loads(words[0])), Path(words[1]))

    def listen() -> None:
        for line in sys.stdin:
            card.change(Fault(**json.loads(line)))
            print(CHANGED, flush=True)  # noqa: T201 - this is what the test reads
        card.let_go()

    threading.Thread(target=listen, daemon=True).start()
    mfusepy.FUSE(card, words[2], foreground=True, direct_io=True)


if __name__ == "__main__":
    main(sys.argv[1:])
