"""One page that finds what is wrong with this host: power, USB, readers, disks, clock, writers.

Sources: ``/sys/class/hwmon`` (the Raspberry Pi's ``rpi_volt`` tells of low voltage), ``speed`` of a USB
device in sysfs (megabits a second), ``adjtimex(2)`` (whether the clock is kept right).
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cardshop.contract.errors import CardshopError, NotFound
from cardshop.sizes import size_said
from cardshop.writer_host import ConfiguredSlot, WriterHost
from writer_helper.configuration import Configuration
from writer_helper.places import BY_PATH, place_at, removable_disks, sysfs_folder
from writer_helper.runners import runner_for
from writer_helper.verdicts import Verdict, bad, good, unknown, warning

SYSFS = Path("/sys")
USB_3_MEGABITS = 5000
LEAST_FREE_BYTES = 10_000_000_000
"""An ordinary image; with less free, the next download may fail."""

_TIME_ERROR = 5  # adjtimex: the clock is not synchronised
_TIMEX_BYTES = 256  # more than struct timex has on any machine


def examine(configuration: Configuration, sysfs: Path = SYSFS) -> Iterator[Verdict]:
    """Looks at everything, one verdict after the other."""
    yield power(sysfs)
    yield clock()
    try:
        host = configuration.read()
    except NotFound as error:
        yield bad("configuration", error.sentence, error.hint)
        return
    except CardshopError as error:
        yield bad("configuration", error.sentence, error.hint or "Mend the file, then ask again.")
        return
    yield good("configuration", f"{configuration.path} is good.")
    yield from readers(host.slots)
    for slot in host.slots:
        yield from slot_verdicts(slot)
    yield disk(host.data)
    yield from writers(host, configuration.path)


def power(sysfs: Path = SYSFS) -> Verdict:
    """Whether the power supply gives enough."""
    for monitor in sorted((sysfs / "class" / "hwmon").glob("*")):
        if _text(monitor / "name") == "rpi_volt":
            if _text(monitor / "in0_lcrit_alarm") == "1":
                return bad(
                    "power",
                    "The voltage is or was too low: cards written now may be bad.",
                    "Use the Raspberry Pi's own power supply, and a powered hub for readers; then reboot.",
                )
            return good("power", "The voltage was never too low since the start.")
    return unknown(
        "power", "This computer doesn't tell. Give hubs with many readers a power supply of their own."
    )


def clock() -> Verdict:
    """Whether something keeps the clock right."""
    # struct timex begins with modes; all zero: nothing is set, only asked.
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == _TIME_ERROR:
        return warning(
            "clock",
            "Nothing keeps this host's clock right.",
            "Run: timedatectl set-ntp true; writer-helper network tells how far it is off.",
        )
    if state < 0:
        return unknown("clock", "The kernel doesn't tell whether it is kept right.")
    return good("clock", "It is kept right.")


def readers(slots: tuple[ConfiguredSlot, ...], folder: Path = BY_PATH) -> Iterator[Verdict]:
    """Whether each card reader has a place of its own, and each slot another device."""
    devices: dict[str, str] = {}
    for slot in slots:
        place = place_at(slot.path)
        if place is None or not place.device:
            continue
        if place.device in devices:
            yield bad(
                f"slot {slot.name}",
                f"It leads to the same device as slot {devices[place.device]}: {place.device}.",
                "Name both slots anew: writer-helper name",
            )
        devices.setdefault(place.device, slot.name)
    if not folder.is_dir():
        if any(not slot.path.is_dir() for slot in slots):
            yield bad("udev", f"{folder} is missing: no card reader has a lasting name.", "Start udev.")
        return
    named = {link.resolve().name for link in folder.iterdir()}
    lost = sorted(set(removable_disks()) - named)
    if lost:
        yield bad(
            "card readers",
            f"No place of their own: {', '.join(lost)}. Two readers have the same path.",
            "Plug one of them into another port; some hubs give all their ports one path.",
        )
    else:
        yield good("card readers", "Each has a place of its own.")


def slot_verdicts(slot: ConfiguredSlot) -> Iterator[Verdict]:
    """What is in a slot's way."""
    subject = f"slot {slot.name}"
    place = place_at(slot.path)
    if place is None:
        yield bad(
            subject,
            f"Nothing is at {slot.path}.",
            "Plug its reader in where it was, or name the slot anew: writer-helper name",
        )
        return
    if place.virtual:
        if os.access(place.path, os.W_OK):
            yield good(subject, "A virtual slot.")
        else:
            yield bad(subject, f"{place.path} can't be written to.", "Whose folder is it?")
        return
    yield usb_speed(subject, sysfs_folder(slot.path))
    mounted = mount_points(sysfs_folder(slot.path))
    if mounted:
        yield bad(
            subject,
            f"Its card is mounted at {', '.join(mounted)}: no writer will touch it.",
            "Unmount it, and switch automatic mounting off on this host (udisks2, a desktop).",
        )


def usb_speed(subject: str, device: Path) -> Verdict:
    """Whether the reader is at a port that is fast enough. ``device`` is its folder in sysfs."""
    for folder in (device, *device.parents):
        speed = _text(folder / "speed")
        if speed and (folder / "idVendor").exists():
            if float(speed) < USB_3_MEGABITS:
                return warning(
                    subject,
                    f"Its reader runs at USB 2 speed ({speed} Mbit/s): at most 40 MB/s in all.",
                    "Use a USB 3 port (blue), a USB 3 hub and a USB 3 reader.",
                )
            return good(subject, f"Its reader runs at USB 3 speed ({speed} Mbit/s).")
    return good(subject, "Its reader is built in.")


def mount_points(device: Path) -> list[str]:
    """Where the file systems of a disk and its partitions are mounted. ``device`` is its folder in sysfs."""
    numbers = {_text(file) for file in (device / "dev", *device.glob("*/dev"))} - {""}
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted({fields[4] for fields in lines if fields[2] in numbers})


def disk(data: Path) -> Verdict:
    """Whether there is room for images."""
    folder = data
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    told = f"{size_said(usage.free) or 'nothing'} of {size_said(usage.total)} free for {data}."
    if usage.free < LEAST_FREE_BYTES:
        return bad(
            "disk",
            told,
            "Free some space, or choose another folder: writer-helper configure set writers.data",
        )
    return good("disk", told)


def writers(host: WriterHost, configuration: Path) -> Iterator[Verdict]:
    """Whether each slot's writer runs, and will after the next start of the host."""
    try:
        runner = runner_for(host, configuration)
        states = [runner.state(slot.name) for slot in host.slots]
    except CardshopError as error:
        yield bad("writers", error.sentence, error.hint)
        return
    if not states:
        yield bad("writers", "There is no slot yet.", "Run: writer-helper name")
    for state in states:
        subject = f"writer {state.slot}"
        if not state.running:
            yield bad(subject, "It doesn't run.", f"Run: writer-helper start {state.slot}")
        elif state.at_boot:
            yield good(subject, f"It runs ({state.what}), and starts with the host.")
        else:
            yield warning(
                subject,
                f"It runs ({state.what}), and ends with the host.",
                "Let docker or systemd keep it: writer-helper configure set writers.run docker",
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
