"""A folder of ZIM files as a catalogue: the program, read by the shop, fetched from as by a creator."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.metalink import read_metalink
from cardshop.stack.waiting import wait_for
from tests.api import new_api, read_catalogue
from tests.real_services import PATIENCE_SECONDS, RealMongod
from tests.served_shelf import ServedShelf, asked, served_shelf
from tests.zims import damaged_copies, make_zim
from warehouse.shelf.books import SETTLED_SECONDS, Shelf

LONG_AGO = time.time() - 60


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedShelf]:
    (tmp_path / "zims").mkdir()
    with served_shelf(tmp_path / "zims", tmp_path / "state") as shelf:
        yield shelf


def on_time(folder: Path, name: str, title: str = "A library") -> Path:
    made = make_zim(folder / name, title)
    os.utime(made, (LONG_AGO, LONG_AGO))
    return made


def test_a_file_that_is_put_into_the_folder_can_be_ordered(served: ServedShelf, mongod: RealMongod) -> None:
    zim = on_time(served.folder, "local guide (1).zim", "A guide of ours")
    wait_for("The guide", lambda: served.shows("A guide of ours"), PATIENCE_SECONDS)
    api = new_api(mongod.uri)

    idents = read_catalogue(api, served.feed_url, "shelf")

    assert idents == ["Cardshop:local guide (1):"]
    (entry,) = api.get("/v1/catalogue/entries?catalogue=shelf")["items"]
    assert (entry["title"], entry["language"], entry["size_bytes"]) == (
        "A guide of ours",
        "eng",
        zim.stat().st_size,
    )
    fitted = api.post("/v1/recipes/fit", {"contents": idents, "base": "cardshop-amd64", "size": "8 GB"})
    assert fitted["fits"]
    picture = asked(f"{served.url}/illustrations/local guide (1).zim")
    assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")


def test_a_file_is_fetched_in_ranges_as_its_metalink_says(served: ServedShelf) -> None:
    zim = on_time(served.folder, "guide.zim", "A guide")
    wait_for("The guide", lambda: served.shows("A guide"), PATIENCE_SECONDS)
    address = f"{served.url}/files/guide.zim"

    told = read_metalink(asked(f"{address}.meta4").content, url=address)
    part = asked(told.urls[0], headers={"Range": "bytes=100-199"})
    whole = asked(told.urls[0]).content

    assert told.urls == (address,)
    assert (told.name, told.size_bytes) == ("guide.zim", zim.stat().st_size)
    assert told.sha256 == hashlib.sha256(whole).hexdigest()
    assert told.pieces is not None
    assert told.pieces.is_good(0, whole)
    assert (part.status_code, part.content) == (206, zim.read_bytes()[100:200])


def test_a_feed_that_did_not_change_is_not_sent_again(served: ServedShelf) -> None:
    on_time(served.folder, "guide.zim", "A guide")
    wait_for("The guide", lambda: served.shows("A guide"), PATIENCE_SECONDS)
    first = asked(served.feed_url)

    again = asked(served.feed_url, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "address", ["/files/..%2fsecret.zim", "/files/other.zim", "/files/secret", "/illustrations/other.zim"]
)
def test_nothing_but_offered_files_is_handed_out(served: ServedShelf, address: str) -> None:
    (served.folder.parent / "secret.zim").write_bytes(b"secret")
    (served.folder / "secret").write_bytes(b"secret")

    assert asked(served.url + address).status_code == 404


def test_a_damaged_file_is_shown_as_bad_and_hides_no_other(tmp_path: Path) -> None:
    on_time(tmp_path, "good.zim")
    damaged = on_time(tmp_path, "damaged.zim")
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size // 2)
        file.write(b"\xff" * 8)
    os.utime(damaged, (LONG_AGO, LONG_AGO))
    (tmp_path / "none.zim").write_bytes(b"no ZIM file")
    os.utime(tmp_path / "none.zim", (LONG_AGO, LONG_AGO))
    shelf = Shelf(tmp_path, tmp_path / "state")

    shelf.look()

    problems = {book.file: bool(book.problem) for book in shelf.books()}
    assert problems == {"damaged.zim": True, "good.zim": False, "none.zim": True}
    assert shelf.book("good.zim") is not None
    assert shelf.book("damaged.zim") is None


def test_a_file_that_is_still_being_copied_is_left_until_it_rests(tmp_path: Path) -> None:
    copied = make_zim(tmp_path / "guide.zim")
    changed = copied.stat().st_mtime
    now = [changed + SETTLED_SECONDS / 2]
    shelf = Shelf(tmp_path, tmp_path / "state", lambda: now[0])

    shelf.look()
    assert shelf.books() == []
    now[0] = changed + SETTLED_SECONDS
    shelf.look()

    assert [book.file for book in shelf.books()] == ["guide.zim"]


def test_what_was_read_is_known_after_a_restart_and_forgotten_when_it_goes(tmp_path: Path) -> None:
    zim = on_time(tmp_path, "guide.zim", "First")
    Shelf(tmp_path, tmp_path / "state").look()
    size = zim.stat().st_size
    zim.write_bytes(bytes(size))  # not looked into again: size and time are what they were
    os.utime(zim, (LONG_AGO, LONG_AGO))
    restarted = Shelf(tmp_path, tmp_path / "state")

    restarted.look()
    assert [book.title for book in restarted.books()] == ["First"]
    zim.unlink()
    restarted.look()

    assert restarted.books() == []


def test_no_damage_of_a_file_keeps_the_shelf_from_the_next_one(tmp_path: Path) -> None:
    sound = on_time(tmp_path, "a.zim").read_bytes()
    for number, damaged in enumerate(damaged_copies(sound, 150)):
        (tmp_path / f"b-{number}.zim").write_bytes(damaged)
        os.utime(tmp_path / f"b-{number}.zim", (LONG_AGO, LONG_AGO))
    Path(os.fsdecode(bytes(tmp_path) + b"/bad\xff.zim")).write_bytes(sound)
    on_time(tmp_path, "z.zim")
    shelf = Shelf(tmp_path, tmp_path / "state")

    shelf.look()

    names = {book.file for book in shelf.books() if not book.problem}
    assert {"a.zim", "z.zim"} <= names
    assert any(book.problem for book in shelf.books())
    assert all(book.file.isascii() for book in shelf.books())


def test_a_file_of_tomorrow_is_read_today(tmp_path: Path) -> None:
    made = make_zim(tmp_path / "guide.zim")
    os.utime(made, (time.time() + 86_400, time.time() + 86_400))
    shelf = Shelf(tmp_path, tmp_path / "state")

    shelf.look()

    assert [book.file for book in shelf.books()] == ["guide.zim"]
