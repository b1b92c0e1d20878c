"""Images, virtual cards and loop devices for the writer's tests."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import certifi
import pytest

from cardshop.contract.events import CardWritten, Phase
from cardshop.contract.passports import Signed
from cardshop.contract.tasks import BaseReference, Claim, WarehouseAccess, WriteTask
from cardshop.image_format import BlockMap, Chunk, Manifest, Range
from cardshop.programs import run
from writer.aside import Aside
from writer.history import SpeedHistory
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.slots import Slot, VirtualSlot
from writer.work import Workplace, write_card

MIB = 1024 * 1024
IMAGE_BYTES = 32 * MIB
CARD_BYTES = 40 * MIB
DIGEST = "d1" * 32
BOOT_SIGNATURE = b"\x55\xaa"
NO_WAREHOUSE = WarehouseAccess("127.0.0.1", 1, "none", "2030-01-01T00:00:00Z")


def make_image(
    folder: Path,
    digest: str = DIGEST,
    seed: int = 1,
    size: int = IMAGE_BYTES,
    passport: Range | None = None,
) -> Manifest:
    """Writes ``<digest>.img``, ``.json`` and ``.bmap``: a head and pieces with holes between them."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)  # noqa: S311 - test data
    pieces = [(0, 4 * MIB), (4 * MIB, 64 * 1024), (8 * MIB, 4 * MIB), (20 * MIB, 4096), (size - MIB, MIB)]
    chunks = []
    with (folder / f"{digest}.img").open("wb") as image:
        image.truncate(size)
        for offset, length in pieces:
            data = source.randbytes(length)
            if offset == 0:
                data = data[:510] + BOOT_SIGNATURE + data[512:]
            os.pwrite(image.fileno(), data, offset)
            chunks.append(Chunk(offset, length, hashlib.sha256(data).hexdigest()))
    manifest = Manifest(
        digest=digest,
        bytes=size,
        mapped_bytes=sum(chunk.length for chunk in chunks),
        chunks=tuple(chunks),
        contents=(),
        base=BaseReference("tiny", "0" * 64),
        passport=passport,
    )
    manifest.to_file(folder / f"{digest}.json")
    BlockMap(size, manifest.chunks).to_file(folder / f"{digest}.bmap")
    return manifest


def insert_card(slot: Path, serial: str = "card-1", size: int = CARD_BYTES, fill: bytes = b"\xff") -> Path:
    """Puts a used card into a virtual slot: full of ``fill``, with the boot signature of its old content."""
    slot.mkdir(parents=True, exist_ok=True)
    path = slot / serial
    part = slot / f".{serial}"
    part.write_bytes(fill * 510 + BOOT_SIGNATURE + fill * (size - 512))
    part.rename(path)
    return path


def wrong_pieces(card: Path, manifest: Manifest) -> list[int]:
    """Offsets of the pieces that a card does not hold: read here without any of the writer's code."""
    with card.open("rb") as stream:
        content = stream.read()
    return [
        chunk.offset
        for chunk in manifest.chunks
        if hashlib.sha256(content[chunk.offset : chunk.end]).hexdigest() != chunk.sha256
    ]


def looks_bootable(card: Path) -> bool:
    """Whether firmware would try to boot from it: the signature of a partition table is there."""
    with card.open("rb") as stream:
        return stream.read(512)[510:] == BOOT_SIGNATURE


def write_task(
    task_id: str = "task-1", *, attempt: int = 1, unit: int = 1, digest: str = DIGEST, size: int = IMAGE_BYTES
) -> WriteTask:
    """A task for one of two cards."""
    return WriteTask(task_id, attempt, "order-1", unit, 2, digest, size, "8 GB")


def claim_of(
    task: WriteTask, access: WarehouseAccess = NO_WAREHOUSE, passport: Signed | None = None
) -> Claim:
    """A claim, with the way to a warehouse or to nothing."""
    return Claim(task.task_id, task.attempt, 1, access, passport=passport)


@dataclass
class Listener:
    """Hears what the work tells."""

    cancelled: bool = False
    told: list[tuple[str, int, int]] = field(default_factory=list)
    on_progress: Callable[[Phase, int, int], None] = lambda _phase, _done, _total: None
    lines: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def progress(self, phase: Phase, done: int, total: int, unit: str = "bytes") -> None:  # noqa: ARG002
        self.told.append((phase.value, done, total))
        self.on_progress(phase, done, total)

    def log(self, *lines: str) -> None:
        self.lines.extend(lines)

    def waiting(self, slot: str, why: str) -> None:  # noqa: ARG002
        self.waits.append(why)


class Waited(Exception):
    """The work waits for another card."""


class Bench:
    """A writer with one slot, and an image in its cache; the slot is virtual if none is told."""

    def __init__(
        self,
        folder: Path,
        slot: Slot | None = None,
        patience_seconds: float = 45.0,
        passport: Range | None = None,
    ) -> None:
        self.slot = folder / "slot"
        self.image = folder / "cache" / DIGEST
        self.manifest = make_image(self.image, passport=passport)
        self.signed: Signed | None = None  # what the claim brings
        self.listener = Listener()
        self.while_waiting: Callable[[], object] = lambda: pytest.fail("waited for a card")
        if slot is None:
            self.slot.mkdir()
        self.place = Workplace(
            slot=slot or VirtualSlot("A", self.slot),
            ledger=Ledger(folder / "state"),
            cache=ImageCache(folder / "cache", 10**12),
            ca_file=Path(certifi.where()),
            speeds=SpeedHistory(folder / "cache" / "card-speeds.json"),
            aside=Aside(patience_seconds),
            pause=lambda _seconds: self.while_waiting(),
        )

    def write(self, task_id: str = "task-1", attempt: int = 1) -> CardWritten:
        task = write_task(task_id, attempt=attempt)
        return write_card(self.place, task, claim_of(task, passport=self.signed), self.listener)

    def why_not(self, task_id: str = "task-1", attempt: int = 1) -> str:
        """Writes, and tells what the technician is asked to do when the card in the slot is not taken."""

        def stop() -> None:
            raise Waited

        self.while_waiting = stop
        with pytest.raises(Waited):
            self.write(task_id, attempt)
        return self.listener.waits[-1]


def need_loop_devices() -> None:
    """Skips a test where there are none; where tests must not be skipped, root without them fails."""
    if os.geteuid() != 0:
        pytest.skip("loop devices need root")
    if not Path("/dev/loop-control").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("root without loop devices")
        pytest.skip("no loop devices here")


@contextmanager
def loop_device(file: Path, *options: str) -> Iterator[Path]:
    """A loop device over ``file``."""
    device = Path(run(["losetup", "--find", "--show", *options, file], timeout=120).text.strip())
    try:
        yield device
    finally:
        run(["losetup", "--detach", device], timeout=120)


@contextmanager
def mounted(device: Path, at: Path, *options: str) -> Iterator[Path]:
    """The file system on ``device``, mounted."""
    at.mkdir(exist_ok=True)
    run(["mount", *options, device, at], timeout=120)
    try:
        yield at
    finally:
        run(["umount", at], timeout=120)
