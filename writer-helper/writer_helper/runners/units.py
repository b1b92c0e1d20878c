"""Writers as systemd units, for hosts without Docker. Only units that bear our mark are ever touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cardshop import programs
from cardshop.contract.errors import CardshopError, ProgramFailed, Unavailable
from cardshop.settings import variable
from cardshop.writer_host import ConfiguredSlot, WriterHost
from writer_helper.runners.runner import STOP_SECONDS, WriterState, proxy_variables

UNITS = Path("/etc/systemd/system")
RUNNING = Path("/run/systemd/system")
"""There while systemd is the host's init (``sd_booted(3)``)."""

PREFIX = "cardshop-writer-"
MARK = "# Made by writer-helper for "
CALL_SECONDS = 30.0

UNIT = """\
{mark}
[Unit]
Description=Cardshop: the writer of slot {slot}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={python} -P -m writer
{environment}
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec={stop_seconds}
UMask=0077
# Root, since devices and the configuration are root's; without most of root's powers.
CapabilityBoundingSet=CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectKernelModules=yes
PrivateTmp=yes
ReadWritePaths={writable}
DevicePolicy=closed
DeviceAllow=block-sd rw
DeviceAllow=block-mmc rw
{loop}
[Install]
WantedBy=multi-user.target
"""


class Units:
    """A unit for each slot, started by systemd whenever the host starts."""

    def __init__(self, host: WriterHost, configuration: Path, folder: Path = UNITS) -> None:
        self._host = host
        self._configuration = configuration.resolve()
        self._folder = folder

    def start(self, slot: ConfiguredSlot) -> None:
        """As :meth:`Runner.start`."""
        self._host.variables(slot.name)  # complains before anything is started
        _need_systemd()
        if self.state(slot.name).running:
            return
        self._host.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.write(slot)
        _systemctl("daemon-reload")
        _systemctl("enable", "--now", self._unit(slot.name))
        if not self.state(slot.name).running:
            last = " / ".join(self.logs(slot.name, 5))
            raise Unavailable(f"The writer of slot {slot.name} did not stay up.", hint=last)

    def stop(self, slot_name: str) -> None:
        """As :meth:`Runner.stop`."""
        if slot_name not in self.known():
            return
        _need_systemd()
        _systemctl("disable", "--now", self._unit(slot_name))
        self._path(slot_name).unlink()
        _systemctl("daemon-reload")

    def state(self, slot_name: str) -> WriterState:
        """As :meth:`Runner.state`."""
        if slot_name not in self.known():
            return WriterState(slot_name, running=False)
        _need_systemd()
        shown = _systemctl(
            "show",
            "--timestamp=unix",
            "--property=ActiveState,ActiveEnterTimestamp,UnitFileState",
            self._unit(slot_name),
        )
        facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        running = facts.get("ActiveState") == "active"
        since = facts.get("ActiveEnterTimestamp", "").removeprefix("@")
        return WriterState(
            slot_name,
            running=running,
            what=f"unit {self._unit(slot_name)}",
            since=datetime.fromtimestamp(int(since), UTC) if running and since.isdigit() else None,
            at_boot=facts.get("UnitFileState") == "enabled",
        )

    def known(self) -> list[str]:
        """As :meth:`Runner.known`."""
        mark = f"{MARK}{self._configuration}\n"
        return [
            path.stem.removeprefix(PREFIX)
            for path in sorted(self._folder.glob(f"{PREFIX}*.service"))
            if path.read_text(errors="replace").startswith(mark)
        ]

    def logs(self, slot_name: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """As :meth:`Runner.logs`."""
        words = ["journalctl", "--unit", self._unit(slot_name), "--lines", str(lines), "--output", "cat"]
        if not follow:
            yield from programs.run(words, timeout=CALL_SECONDS).text.splitlines()
            return
        words = [programs.find(words[0]), *words[1:], "--follow"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stdout or ():
                    yield line.rstrip("\n")
            finally:
                process.terminate()

    def update(self) -> list[str]:
        """As :meth:`Runner.update`: starts them again, with the writer that is installed now."""
        names = self.known()
        for name in names:
            self.write(self._host.slot(name))
        _systemctl("daemon-reload")
        for name in names:
            _systemctl("restart", self._unit(name))
        return names

    def write(self, slot: ConfiguredSlot) -> Path:
        """The unit's file. Raises Unavailable when one of that name is not ours."""
        path = self._path(slot.name)
        if path.exists() and slot.name not in self.known():
            raise Unavailable(f"{path} is there, and was not made by writer-helper.", hint="Move it away.")
        variables = {
            variable("configuration"): str(self._configuration),
            variable("slot"): slot.name,
            "PYTHONUNBUFFERED": "1",
            **proxy_variables(self._host),
        }
        virtual = slot.path.is_dir()
        writable = [self._host.data, *([slot.path] if virtual else [])]
        loop = "DeviceAllow=block-loop rw\n" if slot.path.name.startswith("loop") else ""
        text = UNIT.format(
            mark=f"{MARK}{self._configuration}",
            slot=slot.name,
            python=self._host.python or sys.executable,
            environment="\n".join(f'Environment="{name}={value}"' for name, value in variables.items()),
            stop_seconds=STOP_SECONDS,
            writable=" ".join(f'"{path}"' for path in writable),
            loop=loop,
        )
        path.write_text(text)
        return path

    def _unit(self, slot_name: str) -> str:
        return f"{PREFIX}{slot_name}.service"

    def _path(self, slot_name: str) -> Path:
        return self._folder / self._unit(slot_name)


def _need_systemd() -> None:
    if not RUNNING.is_dir():
        raise Unavailable(
            "systemd does not run on this host.",
            hint="Let Docker or processes keep the writers: writer-helper configure set writers.run process",
        )


def _systemctl(*words: str) -> str:
    try:
        return programs.run(["systemctl", *words], timeout=CALL_SECONDS + STOP_SECONDS).text
    except ProgramFailed as error:
        raise Unavailable(
            f"systemd refuses: {error.hint or error.sentence}", hint=_root_hint(error)
        ) from error


def _root_hint(error: CardshopError) -> str:
    denied = "denied" in error.hint or "authentication" in error.hint
    return "Use sudo." if denied else ""
