"""What is killed: the process that builds, with -9, in the middle of a phase."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.events import Phase
from cardshop.image_format import Manifest
from creator.build import build
from creator.mirrors import Web
from creator.pace import Pace
from creator.plan import ImagePlan, Places
from creator.work_folder import discard
from tests.image_plans import LOOPBACK, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.zims import make_zim

KILLS = 25
MIB = 1024 * 1024


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
        stuffing = {"stuffing": bytes(4 * MIB)}
        zims = [make_zim(tmp_path / name, name, 2, files=stuffing) for name in ("first.zim", "second.zim")]
        if phase is Phase.FETCH:
            mirror.stalls["second.zim"] = 3 * MIB  # more than it is stopped at, and not all
        contents = [make_content(mirror, zim.name, zim.read_bytes()) for zim in zims]
        plan = make_plan(places, *contents)
        reached = context.Event()

        def stop_there(now: Phase, done: int, total: int, _unit: str) -> None:
            if now is phase and done >= share * total:
                reached.set()
                threading.Event().wait()

        process = context.Process(target=build, args=(plan, places, stop_there))
        process.start()
        assert reached.wait(300)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        mirror.stalls.clear()

        assert not [
            path
            for path in places.work.rglob(f"{plan.digest}.*")
            if path.suffix in (".img", ".json", ".bmap")
        ]
        built = build(plan, places, unseen)

        assert built.image.stat().st_size == plan.size_bytes
        assert len(mirror.asked) == asked
        assert {path.suffix for path in built.image.parent.iterdir()} == {".img", ".bmap", ".json"}


def test_a_build_killed_at_25_random_moments_ends_in_the_image_that_an_undisturbed_one_makes(
    tmp_path: Path,
) -> None:
    chance = random.Random(4)  # noqa: S311 - moments, no secret
    slowly = Web(LOOPBACK, pace=Pace(16 * MIB))  # so that fetching takes about as long as the rest
    places = replace(make_places(tmp_path), web=slowly)
    with serve_mirror() as mirror:
        stuffing = {"stuffing": chance.randbytes(8 * MIB)}
        zims = [make_zim(tmp_path / name, name, 2, files=stuffing) for name in ("first.zim", "second.zim")]
        plan = make_plan(places, *(make_content(mirror, zim.name, zim.read_bytes()) for zim in zims))
        begun = time.monotonic()
        undisturbed = build(plan, places, unseen).manifest.read_bytes()
        seconds = time.monotonic() - begun
        killed = 0
        while killed < KILLS:
            forget_all(plan, places)
            mirror.asked.clear()
            while kill_at_some_moment(plan, places, chance.uniform(0, seconds)):
                killed += 1
                mirror.settle()  # what the killed one asked last is not told after what the next one asks
                assert_no_half_image_has_a_final_name(plan, places)
            assert build(plan, places, unseen).manifest.read_bytes() == undisturbed
            assert_nothing_was_asked_for_again(mirror)

    assert {path.suffix for path in (places.work / plan.digest).iterdir()} == {".img", ".bmap", ".json"}


def kill_at_some_moment(plan: ImagePlan, places: Places, seconds: float) -> bool:
    """Builds in a process that is killed after that time; False when it had ended before."""
    process = multiprocessing.get_context("fork").Process(target=build, args=(plan, places, unseen))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode != 0


def assert_no_half_image_has_a_final_name(plan: ImagePlan, places: Places) -> None:
    folder = places.work / plan.digest
    if (folder / f"{plan.digest}.json").exists():  # the last to get its name
        manifest = Manifest.from_file(folder / f"{plan.digest}.json")
        assert (folder / f"{plan.digest}.img").stat().st_size == manifest.bytes
        assert (folder / f"{plan.digest}.bmap").exists()
    for content in plan.contents:
        kept = places.cache / content.sha256
        assert not kept.exists() or kept.stat().st_size == content.size_bytes


def assert_nothing_was_asked_for_again(mirror: Mirror) -> None:
    furthest: dict[str, int] = {}
    for name, wanted in mirror.asked:
        start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0)
        assert start >= furthest.get(name, 0)
        furthest[name] = start


def forget_all(plan: ImagePlan, places: Places) -> None:
    discard(places.work, plan.digest)
    for content in plan.contents:
        (places.cache / content.sha256).unlink(missing_ok=True)
