"""The portal's files: what a guest reads on a card's first page, and in which language."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from cardshop.fit import BLOCK_BYTES, SHELF_BYTES, shelf_bytes
from creator.books import ILLUSTRATION_LIMIT, Book, Illustration
from creator.card_names import card_names
from creator.image.library import make_library
from creator.portal.page import make_portal
from creator.portal.words import ENGLISH, FRENCH, GERMAN, PORTUGUESE, SPANISH, Words, words_in
from tests.card_library import books_of, serve_library
from tests.zims import make_zim

PNG = b"\x89PNG\r\n\x1a\n"
VOID = re.compile(r"<(meta|link|img|input)\b([^>]*)>")
ODD_NAMES = (
    "École du Bois (2024)",
    "Wiki+Med_fr_all_2024-05",
    "a&b'c",
    "ΑΒΓ_2023-01",
    "Łódź_ß",
    "日本語",
    'with a "quote"',
)
MEANING_NAMES = (
    "what?",
    "a#b",
    "100%",
    "50%25 off",
    "back\\slash",
    "catalog",
    "Skin",
    "search",
    "École",
    "ecole",
    "eCOLE_2",
)
"""Names that say something in an address, that others have, or that are alike to kiwix-serve."""


def a_book(**changes: Any) -> Book:
    values: dict[str, Any] = {
        "uuid": "0" * 32, "file": "first-aid_fr.zim", "title": "Premiers secours",
        "description": "Que faire ?", "language": "fra", "creator": "", "publisher": "", "name": "",
        "flavour": "", "tags": "", "date": "",
        "articles": 1, "media": 0, "size_bytes": 1_234_000_000,
        "illustration": Illustration("image/png", PNG), "picture": PNG + b"a picture",
    }  # fmt: skip
    return Book(**(values | changes))


def the_page(*books: Book, ssid: str = "Bibliothèque", language: str = "fr") -> ET.Element:
    """The first page, read as XML: its markup is well formed."""
    files = make_portal({"ssid": ssid, "language": language}, books)
    text = files["index.html"].decode().removeprefix("<!DOCTYPE html>\n")
    return ET.fromstring(VOID.sub(r"<\1\2/>", text))  # noqa: S314 - ours


def shown(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_each_content_is_shown_with_its_facts_and_its_picture() -> None:
    page = the_page(a_book(), a_book(uuid="1" * 32, file="b.zim", title="Water", language="eng", picture=PNG))

    first, second = page.findall(".//ul[@class='shelf']/li")
    assert [shown(part) for part in first] == ["Premiers secours", "Que faire ?", "Français1,2 Go"]
    assert first.find("a").get("href") == "/first-aid_fr/"  # type: ignore[union-attr]
    picture = first.find("a/img").get("src")  # type: ignore[union-attr]
    files = make_portal({"ssid": "x", "language": "fr"}, [a_book()])
    assert files[str(picture).removeprefix("/portal/")] == PNG + b"a picture"
    assert second.find("a/strong").get("lang") == "en"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        *(("en", ENGLISH), ("fr", FRENCH), ("es", SPANISH), ("pt", PORTUGUESE), ("de", GERMAN)),
        *(("fra", FRENCH), ("spa", SPANISH), ("bam", ENGLISH)),
    ],
)
def test_the_page_speaks_the_language_of_the_recipe_or_english(language: str, words: Words) -> None:
    page = the_page(a_book(), language=language)

    assert page.get("lang") == words.language
    assert words.welcome in shown(page)
    assert words.search in shown(page)


@pytest.mark.parametrize("language", ["en", "fr", "es", "pt", "de"])
def test_no_sentence_is_missing_in_a_language(language: str) -> None:
    words = words_in(language)

    assert words.language == language
    assert all(getattr(words, field.name) for field in fields(words))
    assert "{count}" in words.found


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_000_000, "1.2 GB"), (98_765_000_000, "98.8 GB"),
     (123_456_000_000, "123 GB"), (999_960_000, "1000 MB"), (2 * 10**15, "2000 TB")],
)  # fmt: skip
def test_a_size_reads_as_people_write_it(count: int, told: str) -> None:
    assert ENGLISH.size(count).replace("\N{NO-BREAK SPACE}", " ") == told


def test_a_text_of_a_content_or_of_the_recipe_is_never_markup() -> None:
    evil = '<script src="//evil.example"></script>&"'

    page = the_page(a_book(title=evil, description=evil, language='eng,"><b>'), ssid="<b>Wi-Fi</b>")

    assert [script.get("src") for script in page.iter("script")] == ["/portal/portal.js"]
    assert page.find(".//b") is None
    assert page.findtext(".//h1") == "<b>Wi-Fi</b>"
    assert page.findtext(".//li/p") == evil


def test_nothing_is_loaded_from_elsewhere() -> None:
    files = make_portal({"ssid": "x", "language": "en"}, [a_book()])

    page = the_page(a_book())
    addresses = [
        value for element in page.iter() for name in ("src", "href", "action") if (value := element.get(name))
    ]
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert not address.startswith("//")
        assert not address.startswith("/portal/") or address.removeprefix("/portal/") in files
    for name in ("portal.css", "portal.js"):
        assert b"http" not in files[name].replace(b"http-equiv", b"")
        assert b"url(" not in files[name]


def test_the_page_can_be_used_without_a_picture_a_mouse_or_eyes() -> None:
    page = the_page(a_book(picture=None), a_book(uuid="1" * 32))

    labels = {label.get("for") for label in page.iter("label")}
    fields_ = {element.get("id") for name in ("input", "select") for element in page.iter(name)}
    assert fields_ <= labels
    assert page.find(".//form").get("role") == "search"  # type: ignore[union-attr]
    assert all(picture.get("alt") == "" for picture in page.iter("img"))  # the title stands beside it
    assert [page.findtext(f".//{name}") for name in ("h1", "h2")] == ["Bibliothèque", FRENCH.results]
    assert page.find(".//span[@class='letter']").text == "P"  # type: ignore[union-attr]


def test_without_a_script_one_language_is_searched_the_pages_own_first() -> None:
    page = the_page(a_book(language="eng"), a_book(uuid="1" * 32, language="fra,deu"))

    form = page.find(".//form")
    assert form is not None
    assert form.get("action") == "/search"
    assert [option.get("value") for option in form.iter("option")] == ["fra", "deu", "eng"]


def test_the_same_recipe_gives_the_same_bytes() -> None:
    books = [a_book(), a_book(uuid="1" * 32, language="eng,swa")]

    assert make_portal({"ssid": "x", "language": "sw"}, books) == make_portal(
        {"ssid": "x", "language": "sw"}, books
    )


@pytest.mark.parametrize("contents", [0, 1, 300])
def test_library_and_portal_stay_within_the_room_that_the_fit_counts(contents: int) -> None:
    wide = "\N{CYRILLIC CAPITAL LETTER SHCHA}&" * 500
    picture = PNG + b"x" * (ILLUSTRATION_LIMIT - 8 - 16)
    books = [
        replace(
            a_book(title=wide, description=wide, creator=wide, publisher=wide, tags=wide),
            uuid=f"{number:032}",
            file=f"{number:04}{'x' * 200}.zim",
            picture=picture + f"{number:016}".encode(),
            illustration=Illustration("image/png", PNG + b"x" * (ILLUSTRATION_LIMIT - 8)),
        )
        for number in range(contents)
    ]

    portal = make_portal({"ssid": "x" * 32, "language": "fr"}, books)

    room = sum(-(-len(content) // BLOCK_BYTES) * BLOCK_BYTES for content in portal.values()) + 32 * len(
        portal
    )
    assert room + len(make_library(books)) < shelf_bytes(contents) - SHELF_BYTES // 2


def test_names_that_mean_something_in_an_address_lead_to_their_contents_too(tmp_path: Path) -> None:
    zims = []
    for number, name in enumerate(card_names([f"{name}.zim" for name in MEANING_NAMES])):
        pages = {"home": f"Words of {number}", "other page": f"A giraffe of {number}"}
        zims.append(make_zim(tmp_path / name, MEANING_NAMES[number], pages))
    books = books_of(zims)
    page = the_page(*books)

    with serve_library(tmp_path, books) as url:
        for number, link in enumerate(page.iterfind(".//ul[@class='shelf']/li/a")):
            answer = requests.get(url + str(link.get("href")), timeout=20)
            assert f"Words of {number}" in answer.text
            asked = {"pattern": "giraffe", "content": books[number].address, "format": "xml"}
            feed = ET.fromstring(requests.get(f"{url}/search", params=asked, timeout=20).content)  # noqa: S314
            found = str(feed.findtext(".//item/link"))
            assert f"/{books[number].address}/" in found
            assert f"giraffe of {number}" in requests.get(url + found, timeout=20).text


def test_names_on_the_card_stay_where_nothing_speaks_against_them() -> None:
    files = [f"{name}.zim" for name in ODD_NAMES]

    assert card_names(files) == files


def test_names_on_the_card_are_told_apart_and_fit_into_the_file_system() -> None:
    long = "é" * 125 + "x.zim"

    names = card_names(["a?.zim", "a#.zim", "A_.zim", long, long.upper().replace("ZIM", "zim"), "a?.zim"])

    assert names[:3] == ["a_.zim", "a__2.zim", "A__3.zim"]
    assert names[5] == names[0]
    assert names[4] != names[3] == long
    assert max(len(name.encode()) for name in names) <= 255


def test_a_content_lies_where_the_page_leads_whatever_its_files_name_is(tmp_path: Path) -> None:
    zims = [
        make_zim(tmp_path / f"{name}.zim", name, {"home": f"Words of {number}"})
        for number, name in enumerate(ODD_NAMES)
    ]
    page = the_page(*books_of(zims))

    with serve_library(tmp_path, books_of(zims)) as url:
        for number, link in enumerate(page.iterfind(".//ul[@class='shelf']/li/a")):
            answer = requests.get(url + str(link.get("href")), timeout=120)
            assert f"Words of {number}" in answer.text
