"""The runner that the configuration asks for."""

from __future__ import annotations

from pathlib import Path

from cardshop.writer_host import Run, WriterHost
from writer_helper.runners.containers import Containers
from writer_helper.runners.processes import Processes
from writer_helper.runners.runner import Runner
from writer_helper.runners.units import Units


def runner_for(host: WriterHost, configuration: Path) -> Runner:
    """The runner for ``writers.run``; ``configuration`` is the file that the writers shall read.

    Raises:
        Unavailable: Docker is asked for and does not answer.
    """
    if host.run is Run.DOCKER:
        return Containers(host, configuration)
    if host.run is Run.SYSTEMD:
        return Units(host, configuration)
    return Processes(host, configuration)
