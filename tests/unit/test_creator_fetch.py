from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cardshop import addresses
from cardshop.contract.errors import ContentDamaged, MirrorRefused
from cardshop.contract.tasks import Content
from creator.cache import Cache
from creator.fetch import fetch
from creator.mirrors import Web
from creator.part_file import PartFile
from tests.image_plans import WEB, make_content
from tests.mirror import serve_mirror

DATA = bytes(range(256)) * 20_000


MIB = 1024 * 1024
"""A piece, where no metalink tells its length."""


def fetched(
    content: Content,
    cache: Cache,
    web: Web = WEB,
    observe: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    return fetch(content, cache, web, observe, lambda _path: None)


def names(cache: Cache) -> set[str]:
    return {path.name for path in cache.folder.iterdir() if path.suffix != ".lock"}


def fetch_a_part(content: Content, cache: Cache, data: bytes) -> None:
    """Leaves what a killed fetch would: the first pieces of the content are there."""
    with PartFile(cache.part(content.sha256), content.size_bytes, None) as part:
        for index in range(len(data) // part.length):
            part.put(index, data[part.start(index) : part.start(index + 1)])


def test_a_content_lies_in_the_cache_under_its_checksum(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serve_mirror() as mirror:
        content = make_content(mirror, "a book.zim", DATA)

        path = fetched(content, Cache(tmp_path), observe=lambda *told: seen.append(told))

    assert path == tmp_path / hashlib.sha256(DATA).hexdigest()
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_a_content_in_the_cache_is_not_asked_for_again(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        fetched(content, Cache(tmp_path))

        fetched(content, Cache(tmp_path))

    assert len(mirror.asked) == 1


def test_a_fetch_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        fetch_a_part(content, cache, DATA[: 2 * MIB])

        path = fetched(content, cache)

    assert path.read_bytes() == DATA
    assert mirror.asked == [("a.zim", f"bytes={2 * MIB}-{len(DATA) - 1}")]


def test_a_mirror_that_knows_no_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with serve_mirror() as mirror:
        mirror.knows_ranges = False
        content = make_content(mirror, "a.zim", DATA)
        fetch_a_part(content, cache, DATA[: 2 * MIB])

        path = fetched(content, cache)

    assert path.read_bytes() == DATA


def test_a_connection_that_breaks_is_made_again_for_the_rest(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        mirror.cut_after = len(DATA) // 3 + 1
        content = make_content(mirror, "a.zim", DATA)

        path = fetched(content, Cache(tmp_path))

    assert path.read_bytes() == DATA
    assert len(mirror.asked) == 4
    assert all(wanted.startswith("bytes=") for _, wanted in mirror.asked[1:])


def test_a_part_of_wrong_bytes_is_thrown_away_and_fetched_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        fetch_a_part(content, cache, b"wrong" * MIB)

        path = fetched(content, cache)

    assert path.read_bytes() == DATA


def test_wrong_bytes_are_one_error_and_nothing_of_them_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        mirror.files["a.zim"] = DATA[:-1] + b"x"

        with pytest.raises(ContentDamaged, match="other bytes") as error:
            fetched(content, cache)

    assert error.value.field == content.ident
    assert names(cache) == set()


def test_a_mirror_that_fails_or_lies_is_left_for_the_next(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        mirror.files["lie.zim"] = DATA[::-1]
        mirrors = (mirror.url("lie.zim"), mirror.url("a.zim"))
        content = make_content(mirror, "a.zim", DATA, url=mirror.url("not here"), mirrors=mirrors)

        path = fetched(content, Cache(tmp_path))

    assert path.read_bytes() == DATA


def test_a_content_that_no_mirror_has_is_one_error(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA, url=mirror.url("not here"))

        with pytest.raises(MirrorRefused, match="404"):
            fetched(content, Cache(tmp_path))


def test_a_server_that_is_away_is_one_error(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)

    with pytest.raises(MirrorRefused, match="does not answer"):
        fetched(content, Cache(tmp_path))


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA, url=mirror.url("elsewhere"))
        mirror.redirects["elsewhere"] = "/a.zim"

        path = fetched(content, Cache(tmp_path))

    assert path.read_bytes() == DATA


def test_a_private_address_is_refused_and_never_asked(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)

        with pytest.raises(MirrorRefused, match="private address"):
            fetched(content, Cache(tmp_path), Web())

    assert mirror.asked == []


def test_a_name_that_leads_to_a_private_address_is_refused(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA, url=f"http://localhost:{mirror.port}/a.zim")

        with pytest.raises(MirrorRefused, match="private address"):
            fetched(content, Cache(tmp_path), Web())

    assert mirror.asked == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a.zim", "http://127.0.0.2:1/a.zim"]
)
def test_a_redirect_to_what_may_not_be_fetched_is_refused(tmp_path: Path, target: str) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        mirror.redirects["a.zim"] = target

        with pytest.raises(MirrorRefused, match=r"http or https|private address"):
            fetched(content, Cache(tmp_path))


def test_redirects_without_end_are_refused(tmp_path: Path) -> None:
    with serve_mirror() as mirror:
        content = make_content(mirror, "a.zim", DATA)
        mirror.redirects["a.zim"] = "/a.zim"

        with pytest.raises(MirrorRefused, match="302"):
            fetched(content, Cache(tmp_path))


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - refused, not listened on
        "::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "2002:a00:1::",  # 6to4 of 10.0.0.1
        "64:ff9b::10.0.0.1",  # through a translator (NAT64), one of the network's own too
        "64:ff9b:1::93.184.216.34",
        "fec0::1",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_addresses_of_one_s_own_network_are_private(address: str) -> None:
    with pytest.raises(MirrorRefused):
        addresses.check("mirror.example", address, frozenset({"another.example"}))


def test_public_and_listed_addresses_are_allowed() -> None:
    for public in ("93.184.216.34", "2606:4700::1111", "64:ff9b::93.184.216.34", "2002:5db8:d822::"):
        addresses.check("mirror.example", public, frozenset())
    addresses.check("mirror.example", "10.0.0.1", frozenset({"mirror.example"}))
    addresses.check("mirror.example", "10.0.0.1", frozenset({"10.0.0.1"}))
