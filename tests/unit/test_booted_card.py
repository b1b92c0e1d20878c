"""How a card that runs is asked for its pages, and pictured; a small web server stands for the card."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from cardshop.contract.errors import BootFailed
from creator.boot_proof import Book, check_book, checked_portal
from creator.booted_card import BootedCard
from creator.portal_picture import BROWSER, HEIGHT, WIDTH, take_picture
from tests.conftest import missing

NAME = "library.hotspot"
BOOK = Book("7a0c1f5e-0000-4000-8000-000000000001", "Été à l'école.zim")
PORTAL = (200, "text/html; charset=utf-8", '<ul><li><a href="/%C3%89t%C3%A9/">Été</a></ul>')
CATALOGUE = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:uuid:{uuid}</id>
<link type="text/html" href="/content/%C3%89t%C3%A9"/></entry></feed>"""
CATALOGUE_PATH = "/catalog/v2/entries?count=-1"

Answers = Mapping[str, tuple[int, str, str]]
"""Status, content type (or where a redirect leads) and text, by path."""

GOOD: Answers = {
    "/": PORTAL,
    CATALOGUE_PATH: (200, "application/atom+xml", CATALOGUE.format(uuid=BOOK.uuid)),
    "/content/%C3%89t%C3%A9": (302, "/content/%C3%89t%C3%A9/first", ""),
    "/content/%C3%89t%C3%A9/first": (200, "text/html", "<p>An article</p>"),
}


@contextmanager
def card_that(answers: Answers) -> Iterator[BootedCard]:
    """A card whose web server gives these, to guests who ask by its name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, text = answers.get(self.path, (404, "text/plain", "not here"))
            if self.headers["Host"] != NAME:
                status, kind, text = 421, "text/plain", "another host"
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield BootedCard(server.server_address[1], NAME)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_a_card_that_gives_its_portal_and_an_article_passes() -> None:
    with card_that(GOOD) as card:
        check_book(card, checked_portal(card), BOOK)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"/": (200, "text/plain", "hello")}, "portal page does not answer"),
        ({"/": (502, "text/html", "<p>Starting</p>")}, "portal page does not answer"),
        ({"/": (200, "text/html", "<a href='/other/'>other</a>")}, "does not lead to Été à l'école.zim"),
        ({CATALOGUE_PATH: (200, "text/html", "<p>oops")}, "catalogue can't be read"),
        ({CATALOGUE_PATH: (200, "a/b", CATALOGUE.format(uuid="another"))}, "does not have Été à l'école.zim"),
        ({"/content/%C3%89t%C3%A9/first": (404, "text/html", "gone")}, "not give an article of Été"),
        ({"/content/%C3%89t%C3%A9/first": (200, "text/html", "")}, "not give an article of Été"),
        ({"/content/%C3%89t%C3%A9": (302, "http://elsewhere.example/", "")}, "to another host"),
        ({"/content/%C3%89t%C3%A9": (302, "/content/%C3%89t%C3%A9", "")}, "in a circle"),
    ],
)
def test_a_card_that_lacks_something_fails_and_says_what(changed: Answers, told: str) -> None:
    with card_that({**GOOD, **changed}) as card, pytest.raises(BootFailed) as failed:
        check_book(card, checked_portal(card), BOOK)

    assert told in failed.value.sentence


def test_a_card_that_does_not_answer_fails() -> None:
    with card_that(GOOD) as card:
        pass

    with pytest.raises(BootFailed, match="does not answer at /"):
        card.page("/")


def test_a_picture_shows_the_page_under_the_card_s_own_name(tmp_path: Path) -> None:
    if shutil.which(BROWSER) is None:
        missing(BROWSER)
    page = "<body style='margin:0;background:#0a0'></body>"
    picture = tmp_path / "portal.png"

    with card_that({"/": (200, "text/html", page)}) as card:
        why = take_picture(f"http://{NAME}/", card.port, picture)

    assert why == ""
    with Image.open(picture) as shown:
        assert shown.size == (WIDTH, HEIGHT)
        assert shown.convert("RGB").getpixel((5, 5)) == (0, 0xAA, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["portal.png"]


def test_without_a_browser_there_is_no_picture_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    why = take_picture(f"http://{NAME}/", 1, tmp_path / "portal.png")

    assert "chromium is not installed" in why
    assert not (tmp_path / "portal.png").exists()
