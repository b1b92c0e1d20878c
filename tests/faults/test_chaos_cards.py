"""Faults at moments of cards being made, in short: ``make chaos-cards`` is the long form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import Run, run


@pytest.mark.skipif(os.geteuid() != 0, reason="a network for each worker needs root")
@pytest.mark.timeout(2400)
def test_every_unit_ends_with_one_good_card_whatever_is_cut_while_it_is_made(tmp_path: Path) -> None:
    asked = Run(seed=5, orders=40, folder=tmp_path, tell=print, moments=5, content_bytes=50_000_000)

    verdict = run(asked)

    assert (verdict.lost, verdict.doubled, verdict.stuck) == ([], [], [])
