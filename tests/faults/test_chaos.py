"""The chaos in short: ``make chaos`` is the long form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import Run, run


@pytest.mark.skipif(os.geteuid() != 0, reason="a network for each worker needs root")
@pytest.mark.timeout(2400)
def test_orders_arrive_whatever_is_killed(tmp_path: Path) -> None:
    verdict = run(Run(seed=7, orders=8, folder=tmp_path, tell=print))

    assert (verdict.lost, verdict.doubled, verdict.stuck) == ([], [], [])
