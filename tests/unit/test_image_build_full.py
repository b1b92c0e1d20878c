"""What is full: the file system of the work folder or of the cache, before a build or in its middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import NoSpace
from cardshop.contract.events import Phase
from cardshop.programs import run
from creator.build import build
from creator.plan import ImagePlan
from tests.image_plans import left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.zims import make_zim

MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], timeout=120)
    try:
        yield folder
    finally:
        run(["umount", folder], timeout=120)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def plan(tmp_path: Path, mirror: Mirror) -> ImagePlan:
    zim = make_zim(tmp_path / "a.zim", "A", 2, files={"stuffing": os.urandom(20 * MIB)})
    return make_plan(make_places(tmp_path), make_content(mirror, "a.zim", zim.read_bytes()))


def fill(folder: Path, leave: int) -> Path:
    """Takes the file system's room but for some bytes; returns the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        os.posix_fallocate(file.fileno(), 0, free - leave)
    return ballast


def leftovers(folder: Path) -> set[str]:
    return left_behind(folder) - {"ballast"}


@pytest.mark.parametrize("phase", [Phase.FETCH, Phase.BUILD, Phase.CHECK])
def test_a_work_folder_that_fills_up_in_a_build_is_one_error_or_none(
    tmp_path: Path, small: Path, plan: ImagePlan, phase: Phase
) -> None:
    places = replace(make_places(tmp_path), work=small / "work")
    filled: list[Path] = []

    def fill_it(now: Phase, _done: int, _total: int, _unit: str) -> None:
        if now is phase and not filled:
            filled.append(fill(small, leave=0))

    with suppress(NoSpace):  # its room was taken before, so it may come through
        build(plan, places, fill_it)
    assert {path.rpartition(".")[2] for path in leftovers(small)} in (set(), {"img", "bmap", "json"})
    filled[0].unlink()

    assert build(plan, places, unseen).image.exists()


def test_a_cache_that_fills_up_is_one_error_and_the_build_goes_on_when_there_is_room(
    tmp_path: Path, small: Path, plan: ImagePlan
) -> None:
    places = replace(make_places(tmp_path), cache=small / "cache")
    filled: list[Path] = []

    def fill_it(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
        if not filled:
            filled.append(fill(small, leave=0))

    with pytest.raises(NoSpace, match="no room"):
        build(plan, places, fill_it)
    assert leftovers(small) == set()
    filled[0].unlink()

    assert build(plan, places, unseen).image.exists()


@pytest.mark.parametrize("folder", ["work", "cache"])
def test_a_disk_that_is_too_small_is_told_before_a_byte_is_fetched(
    tmp_path: Path, small: Path, plan: ImagePlan, mirror: Mirror, folder: str
) -> None:
    fill(small, leave=40 * MIB)
    places = make_places(tmp_path)
    places = replace(places, work=small) if folder == "work" else replace(places, cache=small)

    with pytest.raises(NoSpace, match=r"needs [0-9,]+ MiB .* are free"):
        build(plan, places, unseen)

    assert mirror.asked == []
    assert leftovers(small) == set()


def test_two_builds_at_once_are_not_promised_the_same_room(
    tmp_path: Path, small: Path, plan: ImagePlan, mirror: Mirror
) -> None:
    places = replace(make_places(tmp_path), work=small / "work")
    other = replace(plan, digest="ab" * 32)
    refused: list[str] = []

    def try_the_other(phase: Phase, _done: int, _total: int, _unit: str) -> None:
        if phase is Phase.FETCH and not refused:
            fill(small, leave=80 * MIB)  # enough for the other, were the first one's room not taken
            with pytest.raises(NoSpace) as error:
                build(other, places, unseen)
            refused.append(error.value.sentence)

    built = build(plan, places, try_the_other)

    assert refused
    assert built.image.exists()
