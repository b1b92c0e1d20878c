"""systemd units: what systemd itself says of them, and whose they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cardshop import writer_host
from cardshop.contract.errors import Unavailable
from cardshop.writer_host import ConfiguredSlot, WriterHost
from tests.conftest import missing
from tests.writer_hosts import GOOD, PASSWORD, write_configuration
from writer_helper.runners.units import RUNNING, Units


def a_host(folder: Path) -> tuple[WriterHost, Path]:
    text = GOOD.replace('run = "process"', 'run = "systemd"').replace("/var/lib/cardshop", str(folder))
    path = write_configuration(folder, text)
    return writer_host.load(path), path


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze")
    host, path = a_host(tmp_path)
    virtual = ConfiguredSlot("V", tmp_path, "rack-1-v", PASSWORD)

    written = [Units(host, path, tmp_path).write(slot) for slot in (host.slot("A"), virtual)]

    for unit in written:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        told = [line for line in done.stderr.splitlines() if unit.name in line]
        assert told == []
        assert done.returncode == 0, done.stderr


def test_a_unit_names_the_configuration_and_holds_no_password(tmp_path: Path) -> None:
    host, path = a_host(tmp_path)

    text = Units(host, path, tmp_path).write(host.slot("A")).read_text()

    assert f"CARDSHOP_CONFIGURATION={path}" in text
    assert "CARDSHOP_SLOT=A" in text
    assert f"ExecStart={sys.executable} -P -m writer" in text
    assert PASSWORD not in text


def test_units_of_others_are_neither_seen_nor_overwritten(tmp_path: Path) -> None:
    host, path = a_host(tmp_path)
    units = Units(host, path, tmp_path)
    foreign = tmp_path / "cardshop-writer-A.service"
    foreign.write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "cardshop-writer-B.service").write_text(f"# Made by writer-helper for {path}.old\n")

    with pytest.raises(Unavailable):
        units.write(host.slot("A"))
    units.stop("A")

    assert units.known() == []
    assert foreign.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_without_systemd_the_error_says_what_else_there_is(tmp_path: Path) -> None:
    if RUNNING.is_dir():
        pytest.skip("systemd runs here")
    host, path = a_host(tmp_path)

    with pytest.raises(Unavailable, match="systemd does not run") as raised:
        Units(host, path, tmp_path).start(host.slot("A"))

    assert "writers.run" in raised.value.hint
