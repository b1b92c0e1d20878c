"""What a host of writers installs: the tool's wheel holds all that the tool needs beside libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BUILD = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
INSTALL = ("install", "--quiet", "--no-deps", "--no-index", "--target")


def test_the_installed_tool_makes_a_configuration_and_opens_its_screens(tmp_path: Path) -> None:
    source, wheels, host = tmp_path / "source", tmp_path / "wheels", tmp_path / "host"
    # A copy: a build leaves its traces beside what it builds.
    shutil.copytree(
        REPOSITORY / "writer-helper", source, ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    _python(tmp_path, "-m", "pip", *BUILD, str(wheels), str(source))
    _python(tmp_path, "-m", "pip", *INSTALL, str(host), *(str(path) for path in wheels.glob("*.whl")))

    configuration = tmp_path / "writers.toml"
    _python(
        tmp_path, "-m", "writer_helper", "configure", "new", "--configuration", str(configuration),
        "--scheduler", "https://localhost:1", "--ca-file", "/ca.pem", "--broker", "localhost",
        path=host,
    )  # fmt: skip
    where = _python(tmp_path, "-c", _OPENED, str(configuration), path=host)

    assert configuration.exists()
    assert where.strip() == f"{host / 'writer_helper' / '__init__.py'} 6"
    assert (host / "bin" / "writer-helper").exists()


_OPENED = """
import asyncio, sys
from pathlib import Path
import writer_helper
from textual.widgets import TabPane
from writer_helper.configuration import Configuration
from writer_helper.screens import HelperApp

async def opened():
    app = HelperApp(Configuration(Path(sys.argv[1])))
    async with app.run_test():
        return len(app.query(TabPane))

print(writer_helper.__file__, asyncio.run(opened()))
"""


def _python(folder: Path, *words: str, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
