"""Whatever a slot's path leads to that is not the slot's card: it is refused, and not a byte of it changes.

The disks are loop devices over files, which are compared before and after. Of the host's own root disk only
the guard is asked: it opens at most, and writes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.contract.errors import CardRefused, ProgramFailed
from cardshop.contract.events import Card
from cardshop.programs import run
from tests.cards import (
    CARD_BYTES,
    IMAGE_BYTES,
    MIB,
    Bench,
    loop_device,
    make_image,
    mounted,
    need_loop_devices,
    wrong_pieces,
)
from writer import block_device, guard, rules
from writer.slots import DeviceSlot, Identity, Inserted

TRIES = 500
PATIENCE_SECONDS = 300.0
EACH_OUTCOME = {"opened", "slots-own", "removable-or-allowed"}
"""Of a try to open a slot's card while its path leads here and there."""


@pytest.fixture(autouse=True)
def _as_root() -> None:
    need_loop_devices()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk's file, full of somebody's data."""
    return make_disk(tmp_path / "disk.img", b"somebody's data.")


def test_the_slots_own_card_is_written(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk) as device:
        Bench(tmp_path, DeviceSlot("A", device, str(disk))).write()

    assert wrong_pieces(disk, make_image(tmp_path / "again")) == []


def test_the_root_disk_is_refused_by_every_rule_that_it_breaks_and_by_the_kernel() -> None:
    number = Path("/").stat().st_dev
    device = next((path for path in Path("/dev").iterdir() if is_device(path, number)), None)
    if device is None:
        pytest.skip("the root file system is on no disk of this machine")
    # In a chroot the mount of its root can't be seen: there the other rules and the kernel stand alone.
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    seen = {"not-mounted"} if any(line.split()[4] == "/" for line in mounts) else set()
    node, size = device.stat(), int(block_device.attribute(number, "size")) * 512
    identity = Identity(node.st_dev, node.st_ino, number, 1, size)
    card = Inserted(Card("root", size), device, device, identity)
    candidate = rules.Candidate(card, IMAGE_BYTES)

    refused = {rules.name_of(rule) for rule in rules.RULES if rule(candidate)}

    assert {"removable-or-allowed", "not-too-large"} | seen <= refused
    with pytest.raises(CardRefused), guard.opened(card, IMAGE_BYTES):
        pytest.fail("the root disk was opened")
    with pytest.raises(OSError, match=r"busy|not permitted"):
        os.open(device, os.O_RDWR | os.O_EXCL)


def test_a_disk_with_a_mounted_partition_is_refused(disk: Path, tmp_path: Path) -> None:
    run(["sfdisk", "--quiet", disk], timeout=120, stdin=b"label: dos\nstart=2048, type=83\n")
    with loop_device(disk, "--partscan") as device:
        part = first_part(device)
        run(["mke2fs", "-q", part], timeout=120)
        with mounted(part, tmp_path / "mnt", "-o", "ro"), untouched(disk):
            assert refused_by(tmp_path, DeviceSlot("A", device, str(disk))) == "not-mounted"
            assert refused_by(tmp_path, DeviceSlot("A", part, str(disk))) == "whole-disk"


def test_a_disk_with_swap_in_use_is_refused(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk) as device:
        run(["mkswap", device], timeout=120)
        run(["swapon", "--priority", "0", device], timeout=120)
        try:
            with untouched(disk):
                assert refused_by(tmp_path, DeviceSlot("A", device, str(disk))) == "not-swap"
        finally:
            run(["swapoff", device], timeout=120)


def test_a_loop_device_of_somebody_else_is_refused(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk) as device, untouched(disk):
        why = Bench(tmp_path, DeviceSlot("A", device, str(tmp_path / "card.img"))).why_not()

    assert "removable-or-allowed" in why
    assert str(disk) in why


@pytest.mark.parametrize("over", ["the device", "the same file"])
def test_a_disk_that_another_loop_device_is_built_on_is_refused(
    disk: Path, tmp_path: Path, over: str
) -> None:
    with (
        loop_device(disk) as device,
        loop_device(device if over == "the device" else disk) as upper,
        untouched(disk),
    ):
        why = Bench(tmp_path, DeviceSlot("A", device, str(disk))).why_not()

    assert "not-built-on" in why
    assert upper.name in why


def test_a_loop_over_a_disk_is_refused_even_if_it_is_allowed(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk) as device, loop_device(device) as upper, untouched(disk):
        assert refused_by(tmp_path, DeviceSlot("A", upper, str(device))) == "not-built-on"


@pytest.mark.parametrize(
    ("mark", "offset", "what"),
    [
        (b"LABELONE" + bytes(16) + b"LVM2 001", 512, "LVM"),
        (b"\xfc\x4e\x2b\xa9", 4096, "RAID"),
        (b"\xfc\x4e\x2b\xa9", 0, "RAID"),
        (b"\xfc\x4e\x2b\xa9", CARD_BYTES - 8192, "RAID"),
        (b"\xfc\x4e\x2b\xa9", CARD_BYTES - 65536, "RAID"),
        (b"LABELONE" + bytes(16) + b"LVM2 001", MIB + 512, "LVM"),  # in the first partition
    ],
)
def test_a_member_of_a_sleeping_raid_or_volume_group_is_refused(
    disk: Path, tmp_path: Path, mark: bytes, offset: int, what: str
) -> None:
    run(["sfdisk", "--quiet", disk], timeout=120, stdin=b"label: dos\nstart=2048, type=8e\n")
    with disk.open("r+b") as stream:
        os.pwrite(stream.fileno(), mark, offset)

    with loop_device(disk, "--partscan") as device, untouched(disk):
        first_part(device)
        why = Bench(tmp_path, DeviceSlot("A", device, str(disk))).why_not()

    assert "no-member" in why
    assert what in why


def test_a_disk_much_larger_than_the_order_asks_for_is_refused(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "backup.img", b"years of pictures", 64 * MIB)
    with loop_device(disk) as device, untouched(disk):
        assert refused_by(tmp_path, DeviceSlot("A", device, str(disk))) == "not-too-large"


def test_a_path_that_leads_elsewhere_after_the_look_is_refused(disk: Path, tmp_path: Path) -> None:
    other = make_disk(tmp_path / "other.img", b"another's data..")
    slot, link = DeviceSlot("A", tmp_path / "slot", str(disk)), tmp_path / "slot"
    with loop_device(disk) as device, loop_device(other) as another, untouched(disk, other):
        link.symlink_to(device)
        card = slot.inserted()
        assert card
        link.unlink()
        link.symlink_to(another)

        with pytest.raises(CardRefused) as raised, guard.opened(card, IMAGE_BYTES):
            pytest.fail("opened")

    assert raised.value.field == "slots-own"


def test_a_path_that_keeps_changing_never_lets_the_other_disk_be_opened(disk: Path, tmp_path: Path) -> None:
    other = make_disk(tmp_path / "other.img", b"another's data..")
    link, new, stop = tmp_path / "slot", tmp_path / "new", threading.Event()
    slot = DeviceSlot("A", link, str(disk))
    outcomes: set[str] = set()

    def keep_changing() -> None:
        for device in itertools.cycle(devices):
            if stop.wait(0.001):
                return
            new.symlink_to(device)
            new.rename(link)

    with loop_device(disk) as device, loop_device(other) as another, untouched(other):
        devices = (device, another)
        link.symlink_to(device)
        changing = threading.Thread(target=keep_changing)
        changing.start()
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            tries = 0
            while tries < TRIES or (not outcomes >= EACH_OUTCOME and time.monotonic() < end):
                tries += 1
                card = slot.inserted()
                assert card
                try:
                    with guard.opened(card, IMAGE_BYTES) as opened:
                        assert os.fstat(opened.descriptor).st_rdev == device.stat().st_rdev
                        outcomes.add("opened")
                except CardRefused as error:
                    outcomes.add(error.field)
        finally:
            stop.set()
            changing.join()

    assert outcomes >= EACH_OUTCOME


@pytest.mark.parametrize("moment", ["before it is opened", "while the rules are asked"])
def test_a_device_number_that_was_given_to_another_disk_is_refused(
    disk: Path, tmp_path: Path, moment: str
) -> None:
    """The other disk has the same number, the same size, and a file of the same name."""
    card, device = given_to_another(disk, make_disk(tmp_path / "other.img", b"another's data.."))
    try:
        with untouched(disk):
            if moment == "before it is opened":
                with pytest.raises(CardRefused) as raised, guard.opened(card, IMAGE_BYTES):
                    pytest.fail("opened")
                assert raised.value.field == "same-card"
            else:
                with device.open("rb") as stream:
                    problem = rules.same_card(rules.Candidate(card, IMAGE_BYTES, stream.fileno()))
                assert problem
    finally:
        run(["losetup", "--detach", device], timeout=120)


def test_a_read_only_device_is_refused(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk, "--read-only") as device, untouched(disk):
        assert refused_by(tmp_path, DeviceSlot("A", device, str(disk))) == "not-read-only"


def test_a_device_that_another_program_holds_is_refused(disk: Path, tmp_path: Path) -> None:
    with loop_device(disk) as device, untouched(disk):
        held = os.open(device, os.O_RDONLY | os.O_EXCL)
        try:
            assert "used by another program" in Bench(tmp_path, DeviceSlot("A", device, str(disk))).why_not()
        finally:
            os.close(held)


def test_each_rule_is_documented() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "cards.md").read_text()

    for rule in rules.RULES:
        assert rule.__doc__
        assert f"| `{rules.name_of(rule)}` | {rule.__doc__} |" in guide


def given_to_another(disk: Path, other: Path) -> tuple[Inserted, Path]:
    """The disk as it was seen, and the device of that number, which the other disk has now under its name.

    Devices are the whole host's: where somebody else took the number in between it is tried with another one.
    """
    taken_out = disk.with_name("taken-out.img")
    for _again in range(TRIES):
        with loop_device(disk) as device:
            card = DeviceSlot("A", device, str(disk)).inserted()
            assert card
        disk.rename(taken_out)
        other.rename(disk)
        with contextlib.suppress(ProgramFailed):
            run(["losetup", device, disk], timeout=120)
            return card, device
        disk.rename(other)
        taken_out.rename(disk)
    pytest.fail("somebody else always took the number of the device")


def first_part(device: Path) -> Path:
    """Its first partition, which a kernel that doesn't know such tables by itself is told of."""
    run(["partx", "--update", device], timeout=120)
    return device.with_name(f"{device.name}p1")


def is_device(path: Path, number: int) -> bool:
    return path.is_block_device() and path.stat().st_rdev == number


def make_disk(file: Path, text: bytes, size: int = CARD_BYTES) -> Path:
    file.write_bytes(text * (size // len(text)) + bytes(size % len(text)))
    return file


def refused_by(folder: Path, slot: DeviceSlot) -> str:
    """The name of the rule for which a writer with this slot, asked to write a card, does not."""
    return Bench(folder, slot).why_not().partition("(Rule: ")[2].partition(".)")[0]


@contextlib.contextmanager
def untouched(*files: Path) -> Iterator[None]:
    """No byte of ``files`` may change."""
    before = [digest(file) for file in files]
    yield
    for file in files:
        write_out(file)
    assert [digest(file) for file in files] == before


def write_out(file: Path) -> None:
    """What was written to a loop device over ``file``, to its parts and devices over these is in the file."""
    for loop in Path("/sys/block").glob("loop*"):
        with contextlib.suppress(FileNotFoundError):  # it is over no file, or not any more
            if (loop / "loop" / "backing_file").read_text().strip() == str(file):
                for part in (*loop.glob(f"{loop.name}p*"), loop):
                    device = Path("/dev") / part.name
                    write_out(device)
                    run(["sync", device], timeout=600)


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
