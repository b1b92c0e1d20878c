"""What a build may take of its host: each limit ends it with one clear error, and no limit outlives it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged, LimitReached, ProgramFailed
from cardshop.contract.events import Phase
from cardshop.fit import MIB
from cardshop.programs import run
from creator.build import build
from creator.limits import memory, processors, time_limit
from creator.mirrors import Web
from creator.pace import Pace
from creator.plan import ImagePlan, Places
from tests.image_plans import LOOPBACK, build_within, left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.zims import make_zim


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def plan(tmp_path: Path, places: Places, mirror: Mirror) -> ImagePlan:
    zim = make_zim(tmp_path / "one.zim", files={"stuffing": bytes(4 * MIB)})
    return make_plan(places, make_content(mirror, zim.name, zim.read_bytes()))


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def room_for(bytes_more: int) -> int:
    """A limit of so many bytes more than this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
    return pages * resource.getpagesize() + bytes_more


def test_a_build_that_takes_too_long_is_ended_and_leaves_no_half_image(
    plan: ImagePlan, places: Places
) -> None:
    slow = replace(places, web=Web(LOOPBACK, pace=Pace(MIB)))

    with pytest.raises(LimitReached) as told, time_limit(0.5):
        build(plan, slow, unseen)

    assert "CARDSHOP_BUILD_SECONDS" in told.value.hint
    assert not told.value.retryable
    assert left_behind(places.work) == set()


def test_a_build_that_is_ended_goes_on_from_what_it_fetched(
    plan: ImagePlan, places: Places, mirror: Mirror
) -> None:
    def stay(phase: Phase, _done: int, _total: int, _unit: str) -> None:
        if phase is Phase.BUILD:
            signal.setitimer(signal.ITIMER_REAL, 0.01)  # its time is over here, however long it took so far
            threading.Event().wait()

    with pytest.raises(LimitReached), time_limit(1000):
        build(plan, places, stay)

    mirror.asked.clear()
    assert build(plan, places, unseen).image.exists()
    assert mirror.asked == []


def test_an_error_handler_does_not_keep_a_build_running_after_its_time() -> None:
    def try_the_next_mirror() -> None:
        try:
            threading.Event().wait()
        except Exception:  # noqa: BLE001 - whatever it is
            threading.Event().wait(60)

    with pytest.raises(LimitReached), time_limit(0.1):
        try_the_next_mirror()


def test_after_a_build_no_timer_is_left() -> None:
    before = signal.getsignal(signal.SIGALRM)

    with time_limit(1000):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900

    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is before


def test_more_memory_than_allowed_ends_the_build_and_nothing_after_it() -> None:
    with pytest.raises(LimitReached) as told, memory(room_for(64 * MIB)):
        bytearray(512 * MIB)

    assert "CARDSHOP_BUILD_MEMORY_BYTES" in told.value.hint
    assert len(bytearray(512 * MIB)) == 512 * MIB


def test_a_program_of_the_build_gets_no_more_memory_either() -> None:
    limit = room_for(64 * MIB)  # this process may have much: it tests others too
    greedy = [sys.executable, "-c", f"bytearray({limit})"]

    with pytest.raises(ProgramFailed) as told, memory(limit):
        run(greedy, timeout=120)
    assert "MemoryError" in told.value.hint

    run(greedy, timeout=120)


def test_another_fault_is_not_called_a_lack_of_memory() -> None:
    with pytest.raises(ImageDamaged), memory(room_for(64 * MIB)):
        raise ImageDamaged("The root partition is not clean.")


def test_an_image_is_built_within_256_mib_of_memory(plan: ImagePlan, places: Places) -> None:
    # A fresh process has as little as a creator's has; this one tests others too.
    fresh = multiprocessing.get_context("spawn").Process(
        target=build_within, args=(plan, places.bases, places.cache, places.work, 256 * MIB)
    )
    fresh.start()
    fresh.join()

    assert fresh.exitcode == 0


def test_a_build_that_needs_more_disk_than_allowed_is_refused_before_anything_is_fetched(
    plan: ImagePlan, places: Places, mirror: Mirror
) -> None:
    with pytest.raises(LimitReached) as told:
        build(plan, replace(places, disk_limit=8 * MIB), unseen)

    assert "8 MiB" in told.value.sentence
    assert "CARDSHOP_BUILD_DISK_BYTES" in told.value.hint
    assert mirror.asked == []
    assert left_behind(places.work) == set()


def test_a_build_that_keeps_to_its_disk_is_built(plan: ImagePlan, places: Places) -> None:
    assert build(plan, replace(places, disk_limit=256 * MIB), unseen).image.exists()


def test_threads_and_programs_of_a_build_share_its_processors() -> None:
    before, seen = os.sched_getaffinity(0), list[int]()
    count = [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"]

    with processors(1):
        thread = threading.Thread(target=lambda: seen.append(len(os.sched_getaffinity(0))))
        thread.start()
        thread.join()
        of_program = run(count, timeout=120).text.strip()

    assert (seen, of_program) == ([1], "1")
    assert os.sched_getaffinity(0) == before


def test_no_limit_is_none() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA), os.sched_getaffinity(0)

    with processors(0), memory(0), time_limit(0):
        assert (resource.getrlimit(resource.RLIMIT_DATA), os.sched_getaffinity(0)) == before
