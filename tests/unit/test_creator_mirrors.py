"""Several mirrors at once, of which some stall, lie or lead astray; metalinks that tell the pieces."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import ContentDamaged, MirrorRefused
from cardshop.contract.tasks import Content
from cardshop.metalink import NAMESPACE, read_metalink
from cardshop.stack.library import PIECE_BYTES, write_metalink
from creator import board
from creator.cache import Cache
from creator.fetch import fetch
from creator.mirrors import Web
from creator.pace import Pace
from creator.part_file import PartFile
from tests.image_plans import LOOPBACK, WEB, make_content
from tests.mirror import Mirror, serve_mirror
from tests.real_stack import wait_until

MIB = 1024 * 1024
DATA = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(40 * MIB // 32))
QUICK = Web(LOOPBACK, stall_seconds=8.0)
"""Leaves a mirror that stalls soon, but not a good one whose thread has to wait for a busy host."""

WRONG_AT = 17 * MIB + 5


@pytest.fixture
def good() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def bad() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def nobody_is_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes are counted: a mirror whose thread waits for a busy host brings its pieces all the same."""
    monkeypatch.setattr(board, "OVERTAKE_SECONDS", 600.0)


def fetched(content: Content, folder: Path, web: Web = WEB) -> bytes:
    path = fetch(content, Cache(folder / "cache"), web, lambda _done, _total: None, lambda _path: None)
    return path.read_bytes()


def offered(folder: Path, bad: Mirror, good: Mirror, data: bytes = DATA, **changes: Any) -> Content:
    """A content that both mirrors have, the bad one named first, with a metalink that tells its pieces."""
    zim = folder / "a.zim"
    zim.write_bytes(data)
    content = make_content(good, "a.zim", data)
    make_content(bad, "a.zim", data)
    write_metalink(zim, bad.url("a.zim"), good.url("a.zim"))
    good.files["a.zim.meta4"] = zim.with_name("a.zim.meta4").read_bytes()
    values: dict[str, Any] = {
        **{name: getattr(content, name) for name in ("ident", "title", "language", "file", "sha256")},
        "size_bytes": len(data),
        "url": bad.url("a.zim"),
        "mirrors": (good.url("a.zim"),),
        "metalink": good.url("a.zim.meta4"),
    }
    return Content(**(values | changes))


def damaged(data: bytes) -> bytes:
    return data[:WRONG_AT] + b"!" + data[WRONG_AT + 1 :]


@pytest.mark.usefixtures("nobody_is_overtaken")
def test_a_content_comes_from_several_mirrors_at_once(tmp_path: Path, good: Mirror, bad: Mirror) -> None:
    content = offered(tmp_path, bad, good)

    def both_are_asked() -> bool:
        return all("a.zim" in [name for name, _ in mirror.asked] for mirror in (good, bad))

    def wait_for_both(name: str) -> None:
        if name == "a.zim":
            wait_until("both are asked", both_are_asked, 120)

    good.before_sending = bad.before_sending = wait_for_both

    assert fetched(content, tmp_path) == DATA
    assert good.sent > len(good.files["a.zim.meta4"])
    assert bad.sent > 0
    metalink_bytes = len(good.files["a.zim.meta4"])
    assert good.sent + bad.sent == len(DATA) + metalink_bytes


@pytest.mark.usefixtures("nobody_is_overtaken")
def test_only_the_wrong_piece_is_fetched_again(tmp_path: Path, good: Mirror, bad: Mirror) -> None:
    content = offered(tmp_path, bad, good)
    bad.files["a.zim"] = damaged(DATA)

    assert fetched(content, tmp_path) == DATA
    surplus = good.sent + bad.sent - len(DATA) - len(good.files["a.zim.meta4"])
    assert surplus in (0, PIECE_BYTES)  # 0 when the good mirror was sent for that piece


@pytest.mark.usefixtures("nobody_is_overtaken")
def test_a_piece_that_all_mirrors_have_wrong_is_one_error_and_the_others_stay(
    tmp_path: Path, good: Mirror, bad: Mirror
) -> None:
    content = offered(tmp_path, bad, good)
    for mirror in (good, bad):
        mirror.files["a.zim"] = damaged(DATA)

    with pytest.raises(ContentDamaged, match="other bytes"):
        fetched(content, tmp_path)
    good.files["a.zim"] = DATA
    before = good.sent + bad.sent

    assert fetched(content, tmp_path) == DATA
    again = good.sent + bad.sent - before - len(good.files["a.zim.meta4"])
    assert again in (PIECE_BYTES, 2 * PIECE_BYTES)


def test_wrong_bytes_without_checksums_of_pieces_are_found_by_the_whole_and_each_mirror_is_asked(
    tmp_path: Path, good: Mirror, bad: Mirror
) -> None:
    content = offered(tmp_path, bad, good, metalink=None)
    bad.files["a.zim"] = damaged(DATA)

    assert fetched(content, tmp_path) == DATA


@pytest.mark.usefixtures("nobody_is_overtaken")
def test_a_mirror_whose_bytes_are_all_wrong_is_left_soon(tmp_path: Path, good: Mirror, bad: Mirror) -> None:
    content = offered(tmp_path, bad, good)
    bad.files["a.zim"] = DATA[::-1]

    assert fetched(content, tmp_path) == DATA
    assert bad.sent <= 16 * MIB


@pytest.mark.parametrize("how", ["silent from the start", "silent in the middle", "a byte in a while"])
def test_a_mirror_that_stalls_is_left_for_the_others(
    tmp_path: Path, good: Mirror, bad: Mirror, how: str
) -> None:
    content = offered(tmp_path, bad, good)
    bad.trickle = how == "a byte in a while"
    bad.stall_after = {"silent from the start": 0, "silent in the middle": 3 * MIB + 7}.get(how)

    assert fetched(content, tmp_path, QUICK) == DATA


def test_a_content_whose_only_mirror_stalls_is_one_error_and_takes_no_room(
    tmp_path: Path, good: Mirror
) -> None:
    content = make_content(good, "a.zim", DATA)
    good.stall_after = 0

    with pytest.raises(MirrorRefused, match="stalled"):
        fetched(content, tmp_path, Web(LOOPBACK, stall_seconds=1.0))

    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_no_thread_is_left_when_a_content_has_come(tmp_path: Path, good: Mirror, bad: Mirror) -> None:
    content = offered(tmp_path, bad, good)
    bad.stall_after = 5

    fetched(content, tmp_path)

    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("mirror ")]


def test_a_mirror_that_sends_more_than_the_content_has_is_cut_off(tmp_path: Path, good: Mirror) -> None:
    content = make_content(good, "a.zim", DATA)
    good.files["a.zim"] = DATA + b"more"

    assert fetched(content, tmp_path) == DATA


def test_a_redirect_to_a_file_harms_only_the_mirror_that_gives_it(
    tmp_path: Path, good: Mirror, bad: Mirror
) -> None:
    content = offered(tmp_path, bad, good)
    bad.redirects["a.zim"] = "file:///etc/passwd"

    assert fetched(content, tmp_path) == DATA


@pytest.mark.parametrize(
    "document", [b"no metalink", b"<metalink xmlns='urn:ietf:params:xml:ns:metalink'/>", None]
)
def test_a_metalink_that_is_bad_or_away_only_costs_the_pieces(
    tmp_path: Path, good: Mirror, bad: Mirror, document: bytes | None
) -> None:
    content = offered(tmp_path, bad, good)
    del good.files["a.zim.meta4"]
    if document is not None:
        good.files["a.zim.meta4"] = document

    assert fetched(content, tmp_path) == DATA


def test_checksums_of_pieces_that_lie_only_waste_time_when_they_are_another_files(
    tmp_path: Path, good: Mirror, bad: Mirror
) -> None:
    content = offered(tmp_path, bad, good)
    other = tmp_path / "other.zim"
    other.write_bytes(DATA[::-1])
    write_metalink(other, good.url("a.zim"))
    good.files["a.zim.meta4"] = other.with_name("other.zim.meta4").read_bytes()

    assert fetched(content, tmp_path) == DATA


@pytest.mark.usefixtures("nobody_is_overtaken")
def test_bytes_that_changed_on_the_disk_meanwhile_are_found_and_only_they_are_fetched(
    tmp_path: Path, good: Mirror, bad: Mirror
) -> None:
    content = offered(tmp_path, bad, good)
    cache = Cache(tmp_path / "cache")
    changed = damaged(DATA)
    with PartFile(cache.part(content.sha256), len(DATA), None) as part:
        for index in range(part.count - 1):
            part.put(index, changed[part.start(index) : part.start(index + 1)])

    assert fetched(content, tmp_path) == DATA
    assert good.sent + bad.sent == 2 * PIECE_BYTES + len(good.files["a.zim.meta4"])


def test_a_part_that_was_cut_in_other_pieces_is_looked_through_not_fetched_anew(tmp_path: Path) -> None:
    zim = tmp_path / "a.zim"
    zim.write_bytes(DATA)
    write_metalink(zim, "http://mirror.example/a.zim")
    told = read_metalink(zim.with_name("a.zim.meta4").read_bytes(), url="")
    assert told.pieces
    document = f"<pieces length='{3 * MIB}' type='sha-1'>" + "".join(
        f"<hash>{hashlib.sha1(DATA[start : start + 3 * MIB], usedforsecurity=False).hexdigest()}</hash>"
        for start in range(0, len(DATA), 3 * MIB)
    )
    head = f"<metalink xmlns='{NAMESPACE}'><file name='a.zim'><size>{len(DATA)}</size><url>http://m/</url>"
    digest = f"<hash type='sha-256'>{told.sha256}</hash>"
    other = read_metalink(f"{head}{digest}{document}</pieces></file></metalink>".encode(), url="").pieces
    assert other
    assert (other.length, other.algorithm, len(other.checksums)) == (3 * MIB, "sha1", 14)

    with PartFile(tmp_path / "x.part", len(DATA), told.pieces) as part:
        for index in range(10):
            part.put(index, DATA[part.start(index) : part.start(index + 1)])
    with PartFile(tmp_path / "x.part", len(DATA), other) as part:
        assert [part.is_there(index) for index in range(5)] == [True, True, True, False, False]
        assert part.bytes_there == 9 * MIB


def test_a_rate_limit_holds_for_all_mirrors_together(tmp_path: Path, good: Mirror, bad: Mirror) -> None:
    content = offered(tmp_path, bad, good)
    begun = time.monotonic()

    assert fetched(content, tmp_path, Web(LOOPBACK, pace=Pace(20 * MIB))) == DATA
    assert time.monotonic() - begun > 1.9
