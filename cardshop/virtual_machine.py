"""A card started in QEMU: the proof that it boots and that its contents can be read.

The machine is emulated in software (TCG): it needs no rights and no KVM. The card is read only: what the
running system writes goes to a temporary file.
"""

from __future__ import annotations

import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.fit import BOOT_OFFSET
from cardshop.programs import find, run

LOADER_ENTRY = "loader/entries/cardshop.conf"
MEMORY = "1024"
"""MiB: what a Raspberry Pi 3 has."""

POLL_SECONDS = 0.5
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class VirtualMachine:
    """A card that runs and answers."""

    url: str
    """Of its library, from this machine, without a slash at the end."""
    boot_seconds: float
    """From switching on to the first answer."""


@contextmanager
def boot(image: Path, *, http_port: int, serial_log: Path, timeout: float) -> Iterator[VirtualMachine]:
    """Starts an amd64 card, waits until its library answers, and switches it off at the end.

    Args:
        image: the card; not changed.
        http_port: free port of 127.0.0.1 that leads to the card's port 80.
        serial_log: made anew; what the card says on its serial console.
        timeout: seconds until its library must answer.

    Raises:
        ProgramFailed: QEMU or mtools is missing, the image has no kernel, or nothing answered in time; the
            hint has the console's last lines.
    """
    with tempfile.TemporaryDirectory(prefix="cardshop-boot-") as folder:
        kernel, initrd, options = boot_files(image, Path(folder))
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{http_port}-:80"
        argv = [
            find("qemu-system-x86_64"), "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2",
            "-m", MEMORY, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(initrd), "-append", options,
            "-drive", f"file={escaped(image)},format=raw,if=virtio,snapshot=on",
            "-netdev", network, "-device", "virtio-net-pci,netdev=net",
            "-device", "virtio-rng-pci", "-serial", f"file:{serial_log}",
        ]  # fmt: skip
        serial_log.unlink(missing_ok=True)
        begun = time.monotonic()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                wait_for_answer(process, http_port, serial_log, timeout)
                yield VirtualMachine(f"http://127.0.0.1:{http_port}", time.monotonic() - begun)
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def boot_files(image: Path, folder: Path) -> tuple[Path, Path, str]:
    """Kernel and initial RAM disk, taken from the card into ``folder``, and the card's own kernel options."""
    found = []
    for name in ("vmlinuz", "initrd.img", LOADER_ENTRY):
        target = folder / Path(name).name
        run(["mcopy", "-i", f"{image}@@{BOOT_OFFSET}", f"::{name}", target], timeout=60)
        found.append(target)
    kernel, initrd, entry = found
    for line in entry.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == "options":
            return kernel, initrd, value.strip()
    raise ProgramFailed(f"{LOADER_ENTRY} on the card names no kernel options.")


def wait_for_answer(process: subprocess.Popen[bytes], port: int, serial_log: Path, timeout: float) -> None:
    """Returns when the card's front page can be had.

    Raises:
        ProgramFailed: QEMU ended, or the time is over.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            status = process.wait(POLL_SECONDS)  # also the pause between two questions
        except subprocess.TimeoutExpired:
            if answers(port):
                return
            continue
        complaint = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        raise ProgramFailed(f"QEMU ended with status {status}.", hint=complaint or console_end(serial_log))
    raise ProgramFailed(
        f"The card did not answer at port 80 within {timeout:.0f} s.", hint=console_end(serial_log)
    )


def answers(port: int) -> bool:
    """Whether a web server answers at a port of 127.0.0.1 with a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def console_end(serial_log: Path) -> str:
    """The last lines of the serial console."""
    if not serial_log.is_file():
        return "The card said nothing on its serial console."
    return " / ".join(serial_log.read_text(errors="replace").split("\n")[-8:])


def escaped(path: Path) -> str:
    """A path as a value in one of QEMU's lists, where a comma is doubled."""
    return str(path.absolute()).replace(",", ",,")
