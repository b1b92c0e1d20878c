"""Configurations of a host of writers, and the technician's tool as a script calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GOOD = """\
# kept by hand
[scheduler]
url = "https://scheduler.test:8443"
ca_file = "/etc/cardshop/ca.pem"

[broker]
host = "rabbit.test"

[writers]
run = "process"
data = "/var/lib/cardshop"  # the large disk

[[slots]]
name = "A"
path = "/dev/disk/by-path/pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0"
username = "rack-1-a"
password = "not for anybody's eyes"
"""
PASSWORD = "not for anybody's eyes"


def write_configuration(folder: Path, text: str = GOOD) -> Path:
    """A configuration file with the right mode."""
    path = folder / "writers.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def helper(
    configuration: Path, *words: str, typed: str = "", status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Runs ``writer-helper`` in a process of its own, as a script does."""
    done = subprocess.run(
        [sys.executable, "-m", "writer_helper", *words, "--configuration", str(configuration)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done
    return done


def told(configuration: Path, *words: str, typed: str = "", status: int = 0) -> Any:
    """The JSON that the tool answers."""
    return json.loads(helper(configuration, *words, "--json", typed=typed, status=status).stdout)
