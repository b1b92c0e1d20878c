"""The boot runner, where a card doesn't start: it says why, soon, and changes nothing."""

from __future__ import annotations

import multiprocessing
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from cardshop.contract.errors import ProgramFailed
from cardshop.fit import BOOT_OFFSET
from cardshop.machines import VIRT, boot_files
from cardshop.programs import run
from cardshop.virtual_machine import boot
from tests.conftest import missing
from tests.real_stack import wait_until
from tests.tiny_base import make_tiny_base


def card_in(folder: Path, files: dict[str, bytes]) -> Path:
    """A card with these files on its boot partition."""
    card = make_tiny_base(folder) / "cardshop-amd64.img"
    drive = f"{card}@@{BOOT_OFFSET}"
    run(["mmd", "-i", drive, "::loader", "::loader/entries"], timeout=120)
    for name, content in files.items():
        run(["mcopy", "-o", "-i", drive, "-", f"::{name}"], stdin=content, timeout=120)
    return card


def beginning(card: Path) -> bytes:
    """The partition table and the start of the boot partition."""
    with card.open("rb") as file:
        return file.read(2 * BOOT_OFFSET)


def test_kernel_ram_disk_and_options_come_from_the_card(tmp_path: Path) -> None:
    entry = b"title x\noptions root=LABEL=cardshop-root quiet\nlinux /vmlinuz\n"
    files = {"vmlinuz": b"kernel", "initrd.img": b"disk", "loader/entries/cardshop.conf": entry}
    card = card_in(tmp_path / "card", files)

    kernel, initrd, options = boot_files(card, tmp_path)

    assert kernel.read_bytes() == b"kernel"
    assert initrd.read_bytes() == b"disk"
    assert options == "root=LABEL=cardshop-root quiet"


def test_a_card_without_a_kernel_is_refused(tmp_path: Path) -> None:
    card = card_in(tmp_path / "card", {})

    with pytest.raises(ProgramFailed), boot(card, serial_log=tmp_path / "log", timeout=120):
        pass


def test_a_kernel_that_does_not_start_ends_the_wait_with_what_qemu_said(tmp_path: Path) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        missing("qemu-system-x86")
    entry = b"options root=LABEL=cardshop-root\n"
    files = {"vmlinuz": b"no kernel", "initrd.img": b"", "loader/entries/cardshop.conf": entry}
    card = card_in(tmp_path / "card", files)
    before = beginning(card)

    with (
        pytest.raises(ProgramFailed) as told,
        boot(card, serial_log=tmp_path / "log", timeout=120),
    ):
        pass

    assert "QEMU ended" in told.value.sentence
    assert "kernel" in told.value.hint
    assert beginning(card) == before


def switch_on(card: Path, folder: Path) -> None:
    with boot(card, serial_log=folder / "log", timeout=120, machine=VIRT):
        pass


def machines_with(folder: Path) -> list[int]:
    """The virtual machines whose files lie in the folder, by process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"qemu-system" in words[0] and any(str(folder).encode() in word for word in words):
                found.append(int(process.name))
    return found


def test_a_machine_does_not_outlive_a_worker_that_is_killed(tmp_path: Path) -> None:
    if shutil.which(VIRT.program) is None:
        missing("qemu-system-arm")
    settings = b"kernel=vmlinuz\ninitramfs initrd.img followkernel\n"
    files = {"vmlinuz": b"no kernel", "initrd.img": b"disk", "config.txt": settings, "cmdline.txt": b"quiet"}
    card = card_in(tmp_path / "card", files)
    worker = multiprocessing.get_context("spawn").Process(target=switch_on, args=(card, tmp_path))
    worker.start()
    wait_until("it runs", lambda: bool(machines_with(tmp_path)), 120)

    worker.kill()
    worker.join()

    wait_until("it is gone", lambda: not machines_with(tmp_path), 120)
