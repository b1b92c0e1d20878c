"""A card started in QEMU: the proof that it boots and that its contents can be read.

The machine is emulated in software (TCG): it needs no rights and no KVM. The card is read only: what the
running system writes goes to a temporary file.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.machines import PC, Machine, command
from cardshop.programs import find

LOOPBACK = "127.0.0.1"
LIBRARY_PATH = "/catalog/v2/root.xml"
"""kiwix-serve's own: the portal before it answers sooner."""

POLL_SECONDS = 0.5
STOP_SECONDS = 10.0
CONSOLE_LINES = 8
"""Of the console's end, told with an error."""


class MachineEnded(ProgramFailed):
    """QEMU ended before its card answered: most often its kernel can't run."""


@dataclass(frozen=True)
class VirtualMachine:
    """A card that runs and answers."""

    port: int
    """Of 127.0.0.1, that leads to the card's port 80."""
    boot_seconds: float
    """From switching on to the first answer."""
    serial_log: Path

    @property
    def url(self) -> str:
        """Of its library, from this machine, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    def console(self) -> str:
        """What the card has said on its serial console so far."""
        return self.serial_log.read_text(errors="replace")


@contextmanager
def boot(image: Path, *, serial_log: Path, timeout: float, machine: Machine = PC) -> Iterator[VirtualMachine]:
    """Starts a card, waits until its library answers, and switches it off at the end.

    Args:
        image: the card; not changed.
        serial_log: made anew; what the card says on its serial console.
        timeout: seconds until its library must answer.
        machine: what it is started in.

    Raises:
        MachineEnded: QEMU did, before an answer.
        ProgramFailed: QEMU or mtools is missing, the image has no kernel, or nothing answered in time; the
            hint has the console's last lines.
    """
    find(machine.program)
    port = _free_port()
    serial_log.unlink(missing_ok=True)
    with command(machine, image, http_port=port, serial_log=serial_log) as argv:
        begun = time.monotonic()
        # It ends with us, however we end: nobody else would ever switch it off.
        tied = [find("setpriv"), "--pdeathsig", "KILL", "--", find(argv[0]), *argv[1:]]
        with subprocess.Popen(tied, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                wait_for_answer(process, port, serial_log, timeout)
                yield VirtualMachine(port, time.monotonic() - begun, serial_log)
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, serial_log: Path, timeout: float) -> None:
    """Returns when the card's library answers.

    Raises:
        MachineEnded: QEMU did.
        ProgramFailed: the time is over.
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
        raise MachineEnded(f"QEMU ended with status {status}.", hint=complaint or console_end(serial_log))
    raise ProgramFailed(
        f"The card did not answer at port 80 within {timeout:.0f} s.", hint=console_end(serial_log)
    )


def answers(port: int) -> bool:
    """Whether a card's library answers at a port of 127.0.0.1."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request("GET", LIBRARY_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def console_end(serial_log: Path) -> str:
    """The last lines of the serial console."""
    if not serial_log.is_file():
        return "The card said nothing on its serial console."
    return " / ".join(serial_log.read_text(errors="replace").split("\n")[-CONSOLE_LINES:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
    return port
