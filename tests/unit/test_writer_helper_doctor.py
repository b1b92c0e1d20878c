"""What the doctor finds, on hosts whose sysfs is laid out as Linux lays it out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cardshop.writer_host import ConfiguredSlot
from tests.writer_hosts import helper, told, write_configuration
from writer_helper import doctor
from writer_helper.places import card_readers, removable_disks
from writer_helper.verdicts import Mark


def a_usb_reader(sysfs: Path, speed: str) -> Path:
    """The folder of a disk behind a USB device of this speed."""
    usb = sysfs / "devices" / "pci0000:00" / "usb2" / "2-1"
    disk = usb / "2-1:1.0" / "host6" / "target6:0:0" / "6:0:0:0" / "block" / "sdb"
    disk.mkdir(parents=True)
    (usb / "speed").write_text(f"{speed}\n")
    (usb / "idVendor").write_text("05e3\n")
    return disk


def a_block_device() -> Path:
    for path in sorted(Path("/dev").iterdir()):
        if path.is_block_device():
            return path
    pytest.skip("this host has no block device at all")


@pytest.mark.parametrize(
    ("alarm", "mark"), [("0\n", Mark.GOOD), ("1\n", Mark.BAD)], ids=["enough", "too little"]
)
def test_too_little_voltage_of_a_raspberry_pi_is_bad(tmp_path: Path, alarm: str, mark: Mark) -> None:
    monitor = tmp_path / "class" / "hwmon" / "hwmon1"
    monitor.mkdir(parents=True)
    (monitor / "name").write_text("rpi_volt\n")
    (monitor / "in0_lcrit_alarm").write_text(alarm)

    assert doctor.power(tmp_path).mark is mark


def test_a_computer_that_does_not_tell_its_power_is_not_called_good(tmp_path: Path) -> None:
    assert doctor.power(tmp_path).mark is Mark.UNKNOWN


@pytest.mark.parametrize(
    ("speed", "mark"), [("480", Mark.WARNING), ("5000", Mark.GOOD), ("10000", Mark.GOOD)]
)
def test_a_reader_at_usb_2_speed_is_told(tmp_path: Path, speed: str, mark: Mark) -> None:
    verdict = doctor.usb_speed("slot A", a_usb_reader(tmp_path, speed))

    assert verdict.mark is mark
    assert speed in verdict.sentence


def test_a_disk_whose_file_system_is_mounted_is_found_by_its_number(tmp_path: Path) -> None:
    fields = Path("/proc/self/mountinfo").read_text().splitlines()[0].split()
    disk = tmp_path / "sdb"
    (disk / "sdb1").mkdir(parents=True)
    (disk / "dev").write_text("8:16\n")
    (disk / "sdb1" / "dev").write_text(f"{fields[2]}\n")

    assert fields[4] in doctor.mount_points(disk)


def test_two_slots_that_lead_to_one_device_are_bad(tmp_path: Path) -> None:
    device = a_block_device()
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(device)
    slots = (ConfiguredSlot("A", tmp_path / "a"), ConfiguredSlot("B", tmp_path / "b"))

    verdicts = list(doctor.readers(slots, tmp_path))

    assert (verdicts[0].subject, verdicts[0].mark) == ("slot B", Mark.BAD)
    assert "slot A" in verdicts[0].sentence


def test_a_missing_reader_and_a_host_without_udev_are_bad(tmp_path: Path) -> None:
    slot = ConfiguredSlot("A", tmp_path / "by-path" / "usb-0:1-scsi-0:0:0:0")

    found = [*doctor.readers((slot,), tmp_path / "by-path"), *doctor.slot_verdicts(slot)]

    assert [verdict.mark for verdict in found] == [Mark.BAD, Mark.BAD]
    assert "udev" in found[0].hint
    assert all(verdict.hint for verdict in found)


def test_a_full_disk_is_bad(tmp_path: Path) -> None:
    roomy = doctor.disk(tmp_path / "not" / "yet" / "there")
    full = doctor.disk(Path("/proc"))  # has no free block at all

    assert roomy.mark is not Mark.UNKNOWN
    assert full.mark is Mark.BAD


def test_disks_that_can_hold_a_card_are_told_from_those_of_the_host(tmp_path: Path) -> None:
    for name, removable in (("sda", "0"), ("sdb", "1"), ("mmcblk0", "0"), ("sr0", "1"), ("loop0", "1")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "removable").write_text(f"{removable}\n")
        if name != "loop0":
            (folder / "device").mkdir()

    assert removable_disks(tmp_path) == ["mmcblk0", "sdb"]


def test_the_doctor_s_page_ends_with_status_1_when_something_is_bad(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    facts = told(path, "doctor", status=1)
    page = helper(path, "doctor", status=1).stdout

    marks = {fact["subject"]: fact["mark"] for fact in facts}
    assert marks["configuration"] == "good"
    assert marks["slot A"] == "bad"
    assert marks["writer A"] == "bad"
    assert "writer-helper start A" in page


def test_places_know_their_lun_and_one_place_has_one_name(tmp_path: Path) -> None:
    device = a_block_device()
    names = ("usb-0:2:1.0-scsi-0:0:0:3", "usbv2-0:2:1.0-scsi-0:0:0:3", "usb-0:2:1.0-scsi-0:0:0:3-part1")
    for name in names:
        (tmp_path / f"pci-0000:00:14.0-{name}").symlink_to(device)

    found = card_readers(tmp_path, removable=lambda _: True)

    assert [(place.path.name, place.lun, place.device) for place in found] == [
        ("pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:3", 3, os.path.realpath(device).rpartition("/")[2])
    ]
