"""The cache's limit: what was not used for longest leaves, what a running build needs never."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from cardshop.contract.events import Phase
from creator.build import build
from creator.cache import Cache
from creator.part_file import PartFile
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim

MIB = 1024 * 1024


def keep(cache: Cache, name: str, used_at: float | None = None) -> str:
    """A content of 1 MiB in the cache, last used at that time (seconds since 1970)."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    cache.part(sha256).write_bytes(os.urandom(MIB))
    cache.keep(sha256)
    if used_at is not None:
        with cache.needed({sha256: MIB}):
            pass
        os.utime(cache.folder / f"{sha256}.use.lock", (used_at, used_at))
    return sha256


def there(cache: Cache, *contents: str) -> list[bool]:
    return [cache.path(sha256).exists() for sha256 in contents]


def test_what_was_not_used_for_longest_leaves_first(tmp_path: Path) -> None:
    unlimited = Cache(tmp_path)
    old, older, new = keep(unlimited, "a", 200), keep(unlimited, "b", 100), keep(unlimited, "c", 300)
    never = keep(unlimited, "d")
    coming = "0" * 64

    with Cache(tmp_path, limit=2 * MIB + MIB // 2).needed({coming: MIB}):
        assert there(unlimited, never, older, old, new) == [False, False, False, True]


def test_using_a_content_makes_it_new(tmp_path: Path) -> None:
    unlimited = Cache(tmp_path)
    first, second = keep(unlimited, "a", 100), keep(unlimited, "b", 200)
    with unlimited.needed({first: MIB}):
        pass

    with Cache(tmp_path, limit=2 * MIB).needed({"0" * 64: MIB}):
        assert there(unlimited, first, second) == [True, False]


def test_what_a_running_build_needs_stays_whatever_the_limit(tmp_path: Path) -> None:
    unlimited = Cache(tmp_path)
    needed, other = keep(unlimited, "a", 100), keep(unlimited, "b", 200)

    with unlimited.needed({needed: MIB}), Cache(tmp_path, limit=1).needed({"0" * 64: MIB}):
        assert there(unlimited, needed, other) == [True, False]

    with Cache(tmp_path, limit=1).needed({"1" * 64: MIB}):
        assert there(unlimited, needed) == [False]


def test_parts_of_contents_leave_too(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=1)
    with PartFile(cache.part("a" * 64), 3 * MIB, None) as part:
        part.put(0, bytes(MIB))

    with cache.needed({"0" * 64: MIB}):
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("a" * 64 + ".p")]


def test_a_build_larger_than_the_limit_comes_through_while_another_evicts(tmp_path: Path) -> None:
    places = replace(make_places(tmp_path), cache_limit=1)
    with serve_mirror() as mirror:
        zims = [make_zim(tmp_path / name, name).read_bytes() for name in ("a.zim", "b.zim", "c.zim")]
        first = make_plan(places, *(make_content(mirror, f"{n}.zim", zims[n]) for n in range(2)))
        second = make_plan(places, make_content(mirror, "2.zim", zims[2]))
        done: list[Path] = []

        def build_another(phase: Phase, _done: int, _total: int, _unit: str) -> None:
            if phase is Phase.BUILD and not done:
                done.append(build(second, places, lambda *_: None).image)

        assert build(first, places, build_another).image.exists()

        assert done[0].exists()
        asked = len(mirror.asked)
    assert asked == 3
