"""A guest's way over a card's portal, in a real browser: one search over contents in several languages.

kiwix-serve is real. The portal's own files, which the card's web server takes from its data partition, are
put in its place here; how that server leads to them is seen when a card is booted (make test-boot).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, ViewportSize, expect

from creator.books import Book
from creator.portal.page import make_portal
from tests.card_library import books_of, serve_library
from tests.photographer import Photographer
from tests.zims import make_zim

PHONE = ViewportSize(width=360, height=640)
CONFIGURATION = {"ssid": "École de Kati", "language": "fr"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the card's contents lie."""
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="module")
def books(folder: Path) -> tuple[Book, ...]:
    french = {"accueil": "Bienvenue.", "chevaux": "Les chevaux mangent du foin. Coopération <b>et</b> paix."}
    english = {"home": "Welcome.", "stable": "Where horses sleep. A word of both: coopération."}
    zims = [
        make_zim(folder / "animaux_fr.zim", "Les animaux", french, "fra"),
        make_zim(folder / "farm_en.zim", "The farm", english, "eng"),
    ]
    return books_of(zims)


@pytest.fixture(scope="module")
def library(folder: Path, books: tuple[Book, ...]) -> Iterator[str]:
    with serve_library(folder, books) as url:
        yield url


def open_portal(
    browser: Browser, library: str, books: tuple[Book, ...], *, script: bool = True
) -> BrowserContext:
    """A phone that has joined the card's network."""
    files = make_portal(CONFIGURATION, books)

    def give(route: Route) -> None:
        name = route.request.url.removeprefix(library).partition("?")[0].removeprefix("/portal/").strip("/")
        kind = mimetypes.guess_type(name or "index.html")[0]
        route.fulfill(body=files[name or "index.html"], content_type=f"{kind}; charset=utf-8")

    context = browser.new_context(base_url=library, viewport=PHONE, java_script_enabled=script)
    context.route(f"{library}/portal/**", give)
    context.route(f"{library}/", give)
    context.route(f"{library}/?*", give)
    return context


@pytest.fixture
def page(browser: Browser, library: str, books: tuple[Book, ...]) -> Iterator[Page]:
    """The portal on a phone; it fails the test when the page runs into an error, or asks another machine."""
    context = open_portal(browser, library, books)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def note(request: Request) -> None:
        if not request.url.startswith(library):
            errors.append(f"asked for {request.url}")

    page.on("request", note)
    page.goto("/")
    yield page
    context.close()
    assert errors == []


def search(page: Page, words: str) -> None:
    page.get_by_label("Chercher dans tous les contenus").fill(words)
    page.get_by_role("button", name="Chercher").click()


def test_one_search_finds_pages_in_every_language_by_other_forms_of_the_word(page: Page) -> None:
    search(page, "cheval")
    expect(page.get_by_role("status")).to_have_text("Pages trouvées\N{NO-BREAK SPACE}: 1")
    expect(page.get_by_role("link", name="chevaux")).to_be_visible()

    search(page, "horse")
    expect(page.get_by_role("link", name="stable")).to_be_visible()
    expect(page.get_by_role("link", name="chevaux")).to_have_count(0)

    search(page, "cooperation")
    expect(page.get_by_role("status")).to_have_text("Pages trouvées\N{NO-BREAK SPACE}: 2")


def test_a_result_opens_and_the_way_back_leads_to_the_results(page: Page) -> None:
    search(page, "cheval")

    page.get_by_role("link", name="chevaux").click()
    expect(page.get_by_text("Les chevaux mangent du foin.")).to_be_visible()
    page.go_back()

    expect(page.get_by_role("link", name="chevaux")).to_be_visible()
    expect(page.get_by_label("Chercher dans tous les contenus")).to_have_value("cheval")


def test_a_search_can_be_held_to_one_language(page: Page) -> None:
    page.get_by_label("Langue").select_option("English")

    search(page, "cooperation")

    expect(page.get_by_role("link", name="stable")).to_be_visible()
    expect(page.get_by_role("link", name="chevaux")).to_have_count(0)


def test_a_search_that_finds_nothing_says_so_and_shows_words_as_words(page: Page) -> None:
    search(page, "<img src=x onerror=alert(1)>")

    expect(page.get_by_role("status")).to_have_text(
        "Rien n'a été trouvé. Essayez un autre mot, ou moins de mots."
    )


def test_a_content_opens_from_its_entry(page: Page) -> None:
    page.get_by_role("link", name="The farm").click()

    expect(page.get_by_text("Welcome.")).to_be_visible()


def test_a_search_works_without_a_script(browser: Browser, library: str, books: tuple[Book, ...]) -> None:
    context = open_portal(browser, library, books, script=False)
    page = context.new_page()
    page.goto("/")

    search(page, "cheval")

    expect(page.get_by_role("link", name="chevaux")).to_be_visible()
    context.close()


def test_the_portal_fits_a_phone(page: Page, request: pytest.FixtureRequest) -> None:
    search(page, "cheval")
    expect(page.get_by_role("link", name="chevaux")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    Photographer(page, request.config.getoption("--screenshots")).take("portal")
