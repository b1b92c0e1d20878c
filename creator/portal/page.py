"""The portal's files: the page itself, how it looks, what makes its search work, pictures of the contents."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cardshop.languages import named
from creator.books import Book
from creator.portal.branding import Branding
from creator.portal.colours import style_of
from creator.portal.words import Words, words_in

PAGE, LATER, STYLE = "index.html", "starting.html", "portal.css"
ICON = "icon.svg"
TITLE_LIMIT, DESCRIPTION_LIMIT = 200, 400
"""Characters of a content's texts that are shown."""

_CODE = re.compile("[a-z]{2,3}")
_STATIC = Path(__file__).with_name("static")
_SHOWN = (STYLE, "portal.js", ICON)
_RETRY_SECONDS = 3
_SEARCH = "/search"  # kiwix-serve's


def make_portal(configuration: Mapping[str, Any], books: Sequence[Book]) -> dict[str, bytes]:
    """The files of the card's folder ``/portal``, by name.

    Args:
        configuration: of the card: its ``ssid`` is the page's heading, its ``language`` that of the page, its
            ``branding`` (may be absent) the page's looks.
        books: what the card holds, in the order of the recipe.

    Raises:
        MessageRejected: the branding is wrong.
    """
    branding = Branding.of(configuration)
    head = _Head(configuration["ssid"], words_in(configuration["language"]), branding)
    files = {name: (_STATIC / name).read_bytes() for name in _SHOWN}
    files[STYLE] += style_of(branding.main_colour, branding.background_colour).encode()
    shown = [branding.logo, branding.favicon, *(book.picture for book in books)]
    files |= {_picture_name(picture): picture for picture in shown if picture}
    files[PAGE] = _document(_page(head, books))
    files[LATER] = _document(_starting(head))
    return files


@dataclass(frozen=True)
class _Head:
    """What stands above both pages."""

    name: str
    words: Words
    branding: Branding


def _picture_name(picture: bytes) -> str:
    """Named by its bytes, so that a browser may keep it and yet never shows another card's."""
    return f"{hashlib.sha256(picture).hexdigest()[:16]}.png"


def _page(above: _Head, books: Sequence[Book]) -> ET.Element:
    words = above.words
    html, head, body = _frame(above)
    ET.SubElement(head, "script", src="/portal/portal.js", defer="defer")
    main = ET.SubElement(body, "main")
    main.append(_search(books, words))
    results = ET.SubElement(main, "section", id="results", hidden="hidden")
    results.attrib |= {
        "aria-labelledby": "results-heading",
        "data-searching": words.searching,
        "data-found": words.found,
        "data-nothing": words.nothing_found,
        "data-failed": words.search_failed,
    }
    ET.SubElement(results, "h2", id="results-heading").text = words.results
    ET.SubElement(results, "p", role="status", id="told")
    ET.SubElement(results, "ol", id="found")
    contents = ET.SubElement(main, "section", {"aria-labelledby": "contents-heading"})
    ET.SubElement(contents, "h2", id="contents-heading").text = words.contents
    shelf = ET.SubElement(contents, "ul", {"class": "shelf"})
    for book in books:
        shelf.append(_entry(book, words))
    return html


def _starting(above: _Head) -> ET.Element:
    """Shown while kiwix-serve does not answer yet; it asks again."""
    html, head, body = _frame(above)
    ET.SubElement(head, "meta", {"http-equiv": "refresh", "content": str(_RETRY_SECONDS)})
    ET.SubElement(ET.SubElement(body, "main"), "p", role="status").text = above.words.starting
    return html


def _frame(above: _Head) -> tuple[ET.Element, ET.Element, ET.Element]:
    """The page's element, its head, and its body with what stands above."""
    name, words, branding = above.name, above.words, above.branding
    html = ET.Element("html", lang=words.language)
    head = ET.SubElement(html, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    ET.SubElement(head, "title").text = name
    icon = _picture_name(branding.favicon) if branding.favicon else ICON
    ET.SubElement(head, "link", rel="icon", href=f"/portal/{icon}")
    ET.SubElement(head, "link", rel="stylesheet", href=f"/portal/{STYLE}")
    body = ET.SubElement(html, "body")
    header = ET.SubElement(body, "header")
    if branding.logo:  # the heading beside it says whose it is
        ET.SubElement(header, "img", src=f"/portal/{_picture_name(branding.logo)}", alt="")
    ET.SubElement(header, "h1").text = name
    ET.SubElement(header, "p").text = words.welcome
    return html, head, body


def _search(books: Sequence[Book], words: Words) -> ET.Element:
    """The form asks kiwix-serve itself; with the script its answers for all languages come together.

    One question is for one language: its words are cut down to their stems by one language's rules.
    """
    form = ET.Element("form", role="search", action=_SEARCH, method="get")
    ET.SubElement(form, "label", {"for": "pattern"}).text = words.search
    row = ET.SubElement(form, "div", {"class": "row"})
    field = ET.SubElement(row, "input", id="pattern", name="pattern", type="search", required="required")
    field.attrib |= {"autocomplete": "off", "maxlength": "200", "enterkeyhint": "search"}
    ET.SubElement(row, "button").text = words.find
    choice = ET.SubElement(form, "p", {"class": "choice"})
    ET.SubElement(choice, "label", {"for": "language"}).text = words.search_language
    select = ET.SubElement(choice, "select", id="language", name="books.filter.lang")
    select.set("data-every", words.every_language)
    for code in _languages(books, words):
        ET.SubElement(select, "option", value=code).text = named(code).name
    return form


def _languages(books: Iterable[Book], words: Words) -> list[str]:
    """The contents' languages, the page's own first."""
    codes = {code for book in books for code in _codes(book)}
    return sorted(codes, key=lambda code: (named(code).short != words.language, named(code).name.casefold()))


def _codes(book: Book) -> list[str]:
    """What the book says of its languages, as far as it can be a code."""
    return [code for code in book.language.split(",") if _CODE.fullmatch(code)]


def _entry(book: Book, words: Words) -> ET.Element:
    entry = ET.Element("li")
    link = ET.SubElement(entry, "a", href=f"/{quote(book.address, safe='')}/")
    if book.picture:
        source = f"/portal/{_picture_name(book.picture)}"
        ET.SubElement(link, "img", src=source, alt="", width="48", height="48")
    else:
        ET.SubElement(link, "span", {"class": "letter", "aria-hidden": "true"}).text = book.title[:1].upper()
    codes = _codes(book)
    spoken = {"lang": named(codes[0]).short} if codes else {}
    ET.SubElement(link, "strong", spoken).text = book.title[:TITLE_LIMIT]
    if book.description:
        ET.SubElement(entry, "p", spoken).text = book.description[:DESCRIPTION_LIMIT]
    facts = ET.SubElement(entry, "p", {"class": "facts"})
    for code in codes:
        ET.SubElement(facts, "span", lang=named(code).short).text = named(code).name
    ET.SubElement(facts, "span").text = words.size(book.size_bytes)
    return entry


def _document(html: ET.Element) -> bytes:
    text: bytes = ET.tostring(html, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + text + b"\n"
