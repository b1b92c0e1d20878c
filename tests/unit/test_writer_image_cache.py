"""Images on a writer's host: kept while they are needed, and by least recently used."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged, NotFound
from tests.cards import make_image
from writer.image_cache import ImageCache

DIGESTS = ["a" * 64, "b" * 64, "c" * 64]
IMAGE_DISK_BYTES = 10 * 1024 * 1024


def is_there(_folder: Path, _ending: threading.Event) -> None:
    """Fetches nothing."""


def use(cache: ImageCache, folder: Path, digest: str, used_at: float) -> None:
    with cache.image(digest, is_there):
        pass
    os.utime(folder / f"{digest}.lock", (used_at, used_at))


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, digest in enumerate(DIGESTS):
        make_image(tmp_path / digest, digest, seed=number)
    cache = ImageCache(tmp_path, 10**12)
    for digest, used_at in zip(DIGESTS, (200, 100, 300), strict=True):
        use(cache, tmp_path, digest, used_at)
    return tmp_path


def test_what_was_not_used_for_longest_leaves_first(folder: Path) -> None:
    with ImageCache(folder, 2 * IMAGE_DISK_BYTES + IMAGE_DISK_BYTES // 2).image(DIGESTS[2], is_there):
        assert kept(folder) == [DIGESTS[0], DIGESTS[2]]


def test_images_in_use_stay_whatever_they_take(folder: Path) -> None:
    with (
        ImageCache(folder, 10**12).image(DIGESTS[1], is_there),
        ImageCache(folder, 1).image(DIGESTS[2], is_there),
    ):
        assert kept(folder) == DIGESTS[1:]


def test_room_is_made_before_an_image_has_arrived(folder: Path) -> None:
    coming = "d" * 64
    arrived = threading.Event()

    def fetch(into: Path, _ending: threading.Event) -> None:
        make_image(into.parent / "built", coming)
        into.mkdir()
        (into.parent / "built" / f"{coming}.json").rename(into / f"{coming}.json")
        (into / f"{coming}.arrived").write_bytes(b"")
        arrived.wait(120)

    (folder / "built").mkdir()
    with ImageCache(folder, IMAGE_DISK_BYTES).image(coming, fetch) as image:
        assert kept(folder) == [coming]
        assert image.arrived_bytes() == 0
        arrived.set()


def test_a_fetch_that_fails_is_told_to_who_waits_for_the_manifest(tmp_path: Path) -> None:
    def fetch(_into: Path, _ending: threading.Event) -> None:
        raise NotFound("The warehouse does not keep the image.")

    with pytest.raises(NotFound), ImageCache(tmp_path, 1).image(DIGESTS[0], fetch):
        pytest.fail("there is no image")


def test_a_damaged_image_is_forgotten(folder: Path) -> None:
    with pytest.raises(ImageDamaged), ImageCache(folder, 10**12).image(DIGESTS[0], is_there):
        raise ImageDamaged("It is damaged.")

    assert not (folder / DIGESTS[0] / f"{DIGESTS[0]}.img").exists()
