"""Feeds and metalinks with faults: one bad entry is shown as bad, a bad document is refused."""

from __future__ import annotations

import pytest

from cardshop.contract.errors import MirrorRefused
from cardshop.metalink import NAMESPACE, is_zim_name, read_metalink
from scheduler.catalogue.opds import ACQUISITION, THUMBNAIL, read_feed
from scheduler.catalogue.web import Web

URL = "https://library.test/catalog/v2/entries"
TOO_LONG = "9" * 5000
MIRROR = "https://mirror.test/faq.zim"


def a_feed(
    *, length: str = "1000", href: str = "/faq.zim.meta4", thumbnail: str = "/faq.png", total: str = "2"
) -> bytes:
    def entry(name: str, *, length: str, href: str, thumbnail: str) -> str:
        return (
            f"<entry><title>{name}</title><name>{name}</name><publisher><name>demo</name></publisher>"
            f'<link rel="{ACQUISITION}" href="{href}" length="{length}"/>'
            f'<link rel="{THUMBNAIL}" href="{thumbnail}"/></entry>'
        )

    good = entry("good", length="5", href="/good.zim.meta4", thumbnail="/good.png")
    other = entry("other", length=length, href=href, thumbnail=thumbnail)
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><x:totalResults xmlns:x="urn:x">{total}</x:totalResults>'
        f"{good}{other}</feed>"
    ).encode()


@pytest.mark.parametrize("href", ["http://[", "https://[::1", "mailto:a@b"])
def test_an_entry_whose_link_is_no_address_is_bad_and_the_others_are_read(href: str) -> None:
    good, other = read_feed(a_feed(href=href), url=URL, catalogue="local").entries

    assert good.problem is None
    assert good.url == "https://library.test/good.zim.meta4"
    assert other.problem is not None


@pytest.mark.parametrize("number", [TOO_LONG, "99999999999999999999", "-5", "many", ""])
def test_a_size_that_is_no_number_of_bytes_is_not_believed(number: str) -> None:
    feed = read_feed(a_feed(length=number, total=number), url=URL, catalogue="local")

    assert feed.total is None
    assert [entry.size_bytes for entry in feed.entries] == [5, 0]


def test_a_picture_whose_link_is_no_address_is_left_out() -> None:
    _, other = read_feed(a_feed(thumbnail="http://["), url=URL, catalogue="local").entries

    assert (other.illustration_url, other.problem) == (None, None)


def a_metalink(*, size: str = "1000", priority: str = "1", mirror: str = MIRROR) -> bytes:
    return (
        f'<metalink xmlns="{NAMESPACE}"><file name="faq.zim"><size>{size}</size>'
        f'<hash type="sha-256">{"a" * 64}</hash><url priority="9">{MIRROR}</url>'
        f'<url priority="{priority}">{mirror}</url></file></metalink>'
    ).encode()


@pytest.mark.parametrize("size", [TOO_LONG, "-1", "99999999999999999999"])
def test_a_metalink_with_a_size_that_no_file_has_is_refused(size: str) -> None:
    with pytest.raises(MirrorRefused):
        read_metalink(a_metalink(size=size), url=URL)


@pytest.mark.parametrize("change", [{"mirror": "http://["}, {"priority": TOO_LONG, "mirror": "ftp://x"}])
def test_a_mirror_that_is_no_address_is_left_out(change: dict[str, str]) -> None:
    assert read_metalink(a_metalink(**change), url=URL).urls == (MIRROR,)


def test_a_mirror_with_an_unreadable_priority_comes_last() -> None:
    other = "https://other.test/faq.zim"

    assert read_metalink(a_metalink(mirror=other, priority=TOO_LONG), url=URL).urls == (MIRROR, other)


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "library..test"])
def test_a_name_that_no_host_can_have_is_refused_as_any_other_that_does_not_answer(host: str) -> None:
    with pytest.raises(MirrorRefused):
        Web(frozenset()).get(f"http://{host}/feed")


@pytest.mark.parametrize("name", ["a b.zim", "é'\"?#%&.zim", "教育.zim", "x" * 251 + ".zim", "_.zim"])
def test_a_zim_file_may_have_any_name_that_can_be_shown(name: str) -> None:
    assert is_zim_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "zim", ".zim", "..zim", "-x.zim", " x.zim", "x.ZIM", "x.zim ", "../x.zim", "/x.zim"),
        *("a\\b.zim", "a\nb.zim", "a\0.zim", "a\u2028.zim", "a\ud800.zim", "a\ufffd.zim"),
        *("x" * 252 + ".zim", "é" * 126 + ".zim"),
    ],
)
def test_no_name_leads_out_of_its_folder_or_can_not_be_shown(name: str) -> None:
    assert not is_zim_name(name)
