"""The machines that a card is started in: QEMU's options for each, and what they take from the card.

A PC for the amd64 base; for the arm64 base QEMU's ``virt`` board, which starts what a Raspberry Pi would in
half a minute, and ``raspi3b``, which reads the card as a Pi does, through its own card reader and device
tree, and takes twice that. None of them has the Pi's firmware or Wi-Fi: docs/raspberry-pi.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.fit import BOOT_OFFSET
from cardshop.programs import run

LOADER_ENTRY = "loader/entries/cardshop.conf"
"""On the boot partition of an amd64 card: names its kernel options (systemd-boot's format)."""

PI_CONFIGURATION = "config.txt"
"""On that of an arm64 card: names kernel and RAM disk for the Pi's firmware."""

PI_OPTIONS = "cmdline.txt"


PATIENCE = "systemd.default_timeout_start_sec=600"
"""A kernel option: an emulated machine's services take longer to start on a busy host than the usual 90 s."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine, as QEMU emulates it."""

    name: str
    architecture: str  # of the base images that start in it
    program: str
    options: tuple[str, ...]  # board, processor, memory
    drive: str  # QEMU's name for how the card is attached
    network: tuple[str, ...]  # its network device, on the network "net"
    kernel_options: str  # beside the card's own: the serial port as the console, where theirs is another
    device_tree: str = ""  # on the boot partition; empty: the board makes its own
    power_of_two: bool = False  # its card reader takes cards of such a size only


PC = Machine(
    "pc",
    "amd64",
    "qemu-system-x86_64",
    ("-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "1024", "-device", "virtio-rng-pci"),
    "virtio",
    ("-device", "virtio-net-pci,netdev=net"),
    kernel_options="",
)

VIRT = Machine(
    "virt",
    "arm64",
    "qemu-system-aarch64",
    ("-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-device", "virtio-rng-pci"),
    "virtio",
    ("-device", "virtio-net-pci,netdev=net"),
    kernel_options="console=ttyAMA0,115200",
)

RASPI3B = Machine(
    "raspi3b",
    "arm64",
    "qemu-system-aarch64",
    ("-machine", "raspi3b", "-usb"),  # processors and memory are those of the board
    "sd",
    # An address of its own, not one of a local administrator: Linux then names the device eth0.
    ("-device", "usb-net,netdev=net,mac=b8:27:eb:00:00:01"),
    # cdc_subset takes QEMU's network device for another one, and then no frame arrives.
    kernel_options="console=ttyAMA0,115200 modprobe.blacklist=cdc_subset",
    device_tree="bcm2837-rpi-3-b.dtb",
    power_of_two=True,
)

MACHINES = {machine.name: machine for machine in (PC, VIRT, RASPI3B)}


def machine_for(architecture: str) -> Machine:
    """The machine that cards of a base image's architecture are tried in.

    Raises:
        ProgramFailed: there is none.
    """
    for machine in (PC, VIRT):
        if machine.architecture == architecture:
            return machine
    raise ProgramFailed(f"There is no virtual machine for the architecture {architecture}.")


@contextmanager
def command(machine: Machine, image: Path, *, http_port: int, serial_log: Path) -> Iterator[list[str]]:
    """The command that starts ``machine`` with the card ``image``; the files that it needs are there within.

    They lie beside the serial log. What the card writes goes to one of them and is thrown away with it, so
    ``image`` stays as it is.

    Raises:
        ProgramFailed: qemu-img or mtools is missing, or the card has no kernel.
    """
    with tempfile.TemporaryDirectory(prefix="boot.part-", dir=serial_log.parent) as made:
        folder = Path(made)
        kernel, initrd, options = boot_files(image, folder)
        start = ["-kernel", str(kernel), "-initrd", str(initrd)]
        start += ["-append", f"{options} {machine.kernel_options} {PATIENCE}"]
        if machine.device_tree:
            start += ["-dtb", str(_from_card(image, machine.device_tree, folder))]
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{http_port}-:80"
        card = _overlay(image, folder / "card.qcow2", power_of_two=machine.power_of_two)
        yield [
            machine.program, *machine.options, "-accel", "tcg", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", *start,
            "-drive", f"file={_escaped(card)},format=qcow2,if={machine.drive}",
            "-netdev", network, *machine.network, "-serial", f"file:{serial_log}",
        ]  # fmt: skip


def boot_files(image: Path, folder: Path) -> tuple[Path, Path, str]:
    """Kernel and initial RAM disk, taken from the card into ``folder``, and the card's own kernel options.

    Raises:
        ProgramFailed: the card has none that we know.
    """
    names = set(run(["mdir", "-b", "-i", _drive(image), "::/"], timeout=60).text.split("\n"))
    if f"::/{PI_CONFIGURATION}" in names:
        settings = _lines(image, PI_CONFIGURATION, folder, separator="=")
        kernel, initrd = settings.get("kernel", ""), settings.get("initramfs", "").split(" ")[0]
        options = _from_card(image, PI_OPTIONS, folder).read_text().strip()
    else:
        entry = _lines(image, LOADER_ENTRY, folder, separator=" ")
        kernel, initrd, options = "vmlinuz", "initrd.img", entry.get("options", "")
    if not (kernel and initrd and options):
        raise ProgramFailed("The card's boot partition names no kernel with a RAM disk and options.")
    return _from_card(image, kernel, folder), _from_card(image, initrd, folder), options


def _lines(image: Path, name: str, folder: Path, separator: str) -> dict[str, str]:
    """What the lines of a file on the card say, by their first word."""
    said = {}
    for line in _from_card(image, name, folder).read_text().splitlines():
        # "initramfs FILE followkernel" is the one line of config.txt that has no equals sign.
        key, _, value = line.partition(" " if line.startswith("initramfs ") else separator)
        said[key.strip()] = value.strip()
    return said


def _from_card(image: Path, name: str, folder: Path) -> Path:
    target = folder / Path(name).name
    run(["mcopy", "-n", "-i", _drive(image), f"::{name}", target], timeout=60)
    return target


def _overlay(image: Path, overlay: Path, *, power_of_two: bool) -> Path:
    size = image.stat().st_size
    if power_of_two:
        size = 1 << (size - 1).bit_length()
    base: list[str | Path] = ["-b", image.absolute(), "-F", "raw"]
    run(["qemu-img", "create", "-q", "-f", "qcow2", *base, overlay, str(size)], timeout=60)
    return overlay


def _drive(image: Path) -> str:
    return f"{image}@@{BOOT_OFFSET}"


def _escaped(path: Path) -> str:
    """A path as a value in one of QEMU's lists, where a comma is doubled."""
    return str(path).replace(",", ",,")
