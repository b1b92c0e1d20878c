"""Contents on their way into an image, and who reads them meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cardshop.contract.errors import ContentDamaged
from cardshop.contract.events import Phase
from cardshop.fit import MIB
from cardshop.image_format import Range
from cardshop.programs import run
from creator.build import build
from creator.image.copying import Piece, copied_meanwhile
from creator.image.filling import Filling, FillingEnded
from tests.cards import loop_device, mounted
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim

PATIENCE_SECONDS = 30
SHORTER = ContentDamaged("The file of /a.zim became shorter.", field="a")


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def test_who_waits_for_a_range_goes_on_when_it_is_there() -> None:
    filling = Filling()
    filling.reach(2 * MIB)
    filling.wait_for(Range(MIB, MIB))
    with ThreadPoolExecutor(2) as pool:
        next_one = pool.submit(filling.wait_for, Range(2 * MIB, 1))
        last_one = pool.submit(filling.wait_for, Range(9 * MIB, MIB))
        filling.reach(3 * MIB)
        next_one.result(PATIENCE_SECONDS)
        assert not last_one.done()
        assert not filling.is_finished
        filling.finish()
        last_one.result(PATIENCE_SECONDS)
    assert filling.is_finished


def test_nobody_waits_or_copies_for_what_is_of_no_use_any_more() -> None:
    filling = Filling()
    filling.reach(MIB)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(filling.wait_for, Range(MIB, 1))
        filling.stop()
        with pytest.raises(FillingEnded):
            waiting.result(PATIENCE_SECONDS)
    with pytest.raises(FillingEnded):
        filling.wait_for(Range(0, 1))
    with pytest.raises(FillingEnded):
        filling.reach(2 * MIB)


def test_pieces_in_any_order_come_to_their_places(tmp_path: Path) -> None:
    source, image, content = tmp_path / "source", tmp_path / "image", os.urandom(5 * MIB + 3)
    source.write_bytes(content)
    image.write_bytes(bytes(10 * MIB))
    pieces = [
        Piece(source, 4 * MIB, Range(MIB, MIB + 3), SHORTER),
        Piece(source, 0, Range(4 * MIB, 4 * MIB), SHORTER),
    ]
    counted: list[int] = []

    with copied_meanwhile(image, pieces, counted.append) as filling:
        filling.wait_for(Range(4 * MIB, 4 * MIB))
        assert image.read_bytes()[4 * MIB : 8 * MIB] == content[: 4 * MIB]

    assert image.read_bytes()[MIB : 2 * MIB + 4] == content[4 * MIB :] + b"\0"
    assert sum(counted) == len(content)


def test_readers_are_told_why_the_copying_ended(tmp_path: Path) -> None:
    source, image = tmp_path / "source", tmp_path / "image"
    source.write_bytes(bytes(MIB))
    image.write_bytes(bytes(4 * MIB))
    pieces = [Piece(source, 0, Range(0, 2 * MIB), SHORTER)]

    with (
        pytest.raises(ContentDamaged, match="became shorter") as error,
        copied_meanwhile(image, pieces, lambda _count: None) as filling,
    ):
        filling.wait_for(Range(0, 2 * MIB))

    assert error.value.field == "a"


def test_a_reader_that_fails_ends_the_copying(tmp_path: Path) -> None:
    source, image = tmp_path / "source", tmp_path / "image"
    source.write_bytes(bytes(MIB))
    image.write_bytes(bytes(MIB))
    pieces = [Piece(source, 0, Range(number * MIB, MIB), SHORTER) for number in range(9)]
    steps: list[int] = []
    readers: list[Filling] = []
    reading = threading.Event()

    def copied(count: int) -> None:
        steps.append(count)
        reading.wait(PATIENCE_SECONDS)
        with suppress(FillingEnded):  # which the failed reader brings about
            readers[0].wait_for(Range(99 * MIB, 1))

    def read_and_fail() -> None:
        with copied_meanwhile(image, pieces, copied) as filling:
            readers.append(filling)
            reading.set()
            filling.wait_for(Range(0, MIB))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_and_fail()

    assert len(steps) == 1


@contextmanager
def file_system(folder: Path, *make: str) -> Iterator[Path]:
    """A new file system, whatever that of this host's temporary files can."""
    folder.mkdir()
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(2048 * MIB)
    run([*make, disk], timeout=120)
    with loop_device(disk) as device, mounted(device, folder / "mounted") as inside:
        yield inside


@pytest.fixture
def with_reflinks(tmp_path: Path) -> Iterator[Path]:
    """A folder on XFS, where files can share blocks."""
    if os.geteuid() != 0 or "xfs" not in Path("/proc/filesystems").read_text().split():
        pytest.skip("needs root, and a kernel with XFS")
    with file_system(tmp_path / "xfs", "mkfs.xfs", "-q", "-m", "reflink=1") as folder:
        yield folder


@pytest.fixture
def without_reflinks(tmp_path: Path) -> Iterator[Path]:
    """A folder on ext4, where they can't."""
    with file_system(tmp_path / "ext4", "mke2fs", "-q", "-t", "ext4") as folder:
        yield folder


def test_where_files_can_share_blocks_nothing_is_copied_and_the_image_is_the_same(
    tmp_path: Path, with_reflinks: Path, without_reflinks: Path
) -> None:
    with serve_mirror() as mirror:
        zim = make_zim(tmp_path / "a.zim", "A", articles=5).read_bytes()
        here = make_places(without_reflinks)
        plan = make_plan(here, make_content(mirror, "a.zim", zim))
        there = make_places(with_reflinks)

        copied, shared = build(plan, here, unseen), build(plan, there, unseen)

    assert shared_extents(shared.image)
    assert not shared_extents(copied.image)
    assert sha256_of(shared.image) == sha256_of(copied.image)


def shared_extents(image: Path) -> list[str]:
    lines = run(["filefrag", "-v", image], timeout=120).text.splitlines()
    return [line for line in lines if "shared" in line]


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
