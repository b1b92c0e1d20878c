"""The runner that the configuration asks for."""

from __future__ import annotations

from pathlib import Path

from cardshop.writer_host import WriterHost
from writer_helper.runners.processes import Processes
from writer_helper.runners.runner import Runner


def runner_for(host: WriterHost, configuration: Path) -> Runner:
    """The runner for ``writers.run``. ``configuration`` is the file that the writers shall read."""
    return Processes(host, configuration)
