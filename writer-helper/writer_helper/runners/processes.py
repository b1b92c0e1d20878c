"""Writers as plain processes: for a desk, without Docker and without systemd. They end with the host.

A process is known by its number and the moment of its start (a number alone is given again to others).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cardshop.contract.errors import Unavailable
from cardshop.private_files import write_private
from cardshop.settings import PREFIX, variable
from cardshop.writer_host import ConfiguredSlot, WriterHost
from writer_helper.runners.log_files import last_lines, lines_as_they_come
from writer_helper.runners.runner import STOP_SECONDS, WriterState, proxy_variables

STAYED_UP_SECONDS = 2.0
"""A writer that lives this long has read its settings."""

KILLED_SECONDS = 10.0


@dataclass(frozen=True)
class _Process:
    pid: int
    started: int  # clock ticks after the boot, as in /proc/PID/stat

    @property
    def lives(self) -> bool:
        return _started(self.pid) == self.started


class Processes:
    """A process for each slot; its number and its log are kept in the configuration's data folder."""

    def __init__(
        self,
        host: WriterHost,
        configuration: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._host = host
        self._configuration = configuration.resolve()
        self._environment = os.environ if environment is None else environment
        self._folder = host.data / "processes"

    def start(self, slot: ConfiguredSlot) -> None:
        """As :meth:`Runner.start`."""
        self._host.variables(slot.name)  # complains before anything is started
        if self._process(slot.name):
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log(slot.name).open("ab") as log:
            log_began = log.tell()
            process = subprocess.Popen(
                [self._host.python or sys.executable, "-P", "-m", "writer"],
                env=self._variables(slot),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STAYED_UP_SECONDS)
            told = self._log(slot.name).read_bytes()[log_began:].decode(errors="replace").strip()
            raise Unavailable(f"The writer of slot {slot.name} did not stay up.", hint=told[-1000:])
        record = {"pid": process.pid, "started": _started(process.pid)}
        write_private(self._record(slot.name), json.dumps(record))

    def stop(self, slot_name: str) -> None:
        """As :meth:`Runner.stop`."""
        process = self._process(slot_name)
        if process:
            descriptor = os.pidfd_open(process.pid)
            try:
                if process.lives:  # asked again: the descriptor now holds the number for us
                    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
                    if not _ended(descriptor, STOP_SECONDS):
                        os.killpg(process.pid, signal.SIGKILL)
                        _ended(descriptor, KILLED_SECONDS)
            finally:
                os.close(descriptor)
        self._record(slot_name).unlink(missing_ok=True)

    def state(self, slot_name: str) -> WriterState:
        """As :meth:`Runner.state`."""
        process = self._process(slot_name)
        if process is None:
            return WriterState(slot_name, running=False)
        up_seconds = float(Path("/proc/uptime").read_text().split()[0])
        since = time.time() - up_seconds + process.started / os.sysconf("SC_CLK_TCK")
        return WriterState(
            slot_name,
            running=True,
            what=f"process {process.pid}",
            since=datetime.fromtimestamp(since, UTC).replace(microsecond=0),
        )

    def known(self) -> list[str]:
        """As :meth:`Runner.known`."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def logs(self, slot_name: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """As :meth:`Runner.logs`."""
        log = self._log(slot_name)
        return lines_as_they_come(log, lines) if follow else iter(last_lines(log, lines))

    def update(self) -> list[str]:
        """As :meth:`Runner.update`: starts them again, with the writer that is installed now."""
        names = [name for name in self.known() if self._process(name)]
        for name in names:
            self.stop(name)
            self.start(self._host.slot(name))
        return names

    def _variables(self, slot: ConfiguredSlot) -> dict[str, str]:
        plain = {name: value for name, value in self._environment.items() if not name.startswith(PREFIX)}
        ours = {
            variable("configuration"): str(self._configuration),
            variable("slot"): slot.name,
            "PYTHONUNBUFFERED": "1",
        }
        return plain | ours | proxy_variables(self._host)

    def _process(self, slot_name: str) -> _Process | None:
        try:
            record = json.loads(self._record(slot_name).read_text())
            process = _Process(int(record["pid"]), int(record["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return process if process.lives else None

    def _record(self, slot_name: str) -> Path:
        return self._folder / f"{slot_name}.json"

    def _log(self, slot_name: str) -> Path:
        return self._folder / f"{slot_name}.log"


def _started(pid: int) -> int | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])  # fields 3 and 22 of proc(5)


def _ended(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])
