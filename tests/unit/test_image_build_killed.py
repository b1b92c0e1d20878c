"""What is killed: the process that builds, with -9, in the middle of a phase."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from cardshop.contract.events import Phase
from creator.build import build
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


@pytest.mark.parametrize(
    ("phase", "share", "asked"),
    [(Phase.FETCH, 0.7, 3), (Phase.BUILD, 0.0, 2), (Phase.BUILD, 0.9, 2), (Phase.CHECK, 0.5, 2)],
)
def test_a_build_that_was_killed_goes_on_and_nothing_half_done_is_final(
    tmp_path: Path, phase: Phase, share: float, asked: int
) -> None:
    context = multiprocessing.get_context("fork")
    places = make_places(tmp_path)
    with serve_mirror() as mirror:
        # Large enough for the first stop to be in the middle of the second one.
        text = random.Random(1).randbytes(300_000).hex()  # noqa: S311 - it only mustn't compress well
        zims = [make_zim(tmp_path / name, name, {"page": text}) for name in ("first.zim", "second.zim")]
        contents = [make_content(mirror, zim.name, zim.read_bytes()) for zim in zims]
        plan = make_plan(places, *contents)
        reached = context.Event()

        def stop_there(now: Phase, done: int, total: int, _unit: str) -> None:
            if now is phase and done >= share * total:
                reached.set()
                threading.Event().wait()

        process = context.Process(target=build, args=(plan, places, stop_there))
        process.start()
        assert reached.wait(60)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()

        assert not [
            path
            for path in places.work.rglob(f"{plan.digest}.*")
            if path.suffix in (".img", ".json", ".bmap")
        ]
        built = build(plan, places, unseen)

        assert built.image.stat().st_size == plan.size_bytes
        assert len(mirror.asked) == asked
        assert {path.suffix for path in built.image.parent.iterdir()} == {".img", ".bmap", ".json"}
