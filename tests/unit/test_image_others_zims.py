"""ZIM files that others made, with others' tools and under names of theirs: all end whole on the card."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from libzim.reader import Archive

from cardshop.contract.events import Phase
from cardshop.fit import layout
from cardshop.programs import run
from creator.build import build
from tests.image_plans import IMAGE_BYTES, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import ROOT_BYTES
from tests.zims import illustration, make_zim

DATA_OFFSET = layout(IMAGE_BYTES, ROOT_BYTES).data_offset
NAMES = (
    "plain.zim",
    "with a space.zim",
    "Bibliothèque d'été.zim",
    'a "quoted" one.zim',
    "книга 図書.zim",
    "é" * 125 + "x.zim",
)


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


def by_zimwriterfs(folder: Path, name: str, language: str, *, has_index: bool) -> Path:
    """A ZIM file by Debian's zimwriterfs."""
    pages = folder / f"{name}-pages"
    pages.mkdir(parents=True)
    (pages / "illustration.png").write_bytes(illustration(48))
    for page, text in (("index", "Welcome"), ("water", "How to clean water"), ("eau", "Nettoyer l'eau")):
        body = f'<p>{text}</p><p><a href="water.html">water</a> <a href="eau.html">eau</a></p>'
        head = f"<head><meta charset='utf-8'><title>{text}</title></head>"
        (pages / f"{page}.html").write_text(f"<!doctype html><html>{head}<body>{body}</body></html>")
    run(
        [
            *(
                "zimwriterfs",
                "--welcome=index.html",
                "--illustration=illustration.png",
                f"--language={language}",
            ),
            *(f"--title=By zimwriterfs: {name}", "--description=Pages of others", "--creator=Somebody"),
            *("--publisher=Somebody else", f"--name={name}", *(() if has_index else ("--withoutFTIndex",))),
            *(pages, folder / f"{name}.zim"),
        ],
        timeout=120,
    )
    return folder / f"{name}.zim"


@pytest.mark.skipif(shutil.which("zimwriterfs") is None, reason="needs zim-tools")
def test_zims_of_other_tools_with_and_without_an_index_and_of_several_languages_are_whole(
    tmp_path: Path, mirror: Mirror
) -> None:
    zims = {
        "indexed": by_zimwriterfs(tmp_path, "indexed", "eng", has_index=True),
        "bare": by_zimwriterfs(tmp_path, "bare", "fra", has_index=False),
        "both": by_zimwriterfs(tmp_path, "both", "eng,fra", has_index=False),
        "libzim": make_zim(tmp_path / "libzim.zim", "By libzim", 5, language="eng,fra"),
    }
    assert [Archive(zim).has_fulltext_index for zim in zims.values()] == [True, False, False, True]
    contents = [make_content(mirror, f"{name}.zim", zim.read_bytes()) for name, zim in zims.items()]

    built = build(make_plan(make_places(tmp_path), *contents), make_places(tmp_path), unseen)

    out = read_out(built.image, tmp_path)
    for name, zim in zims.items():
        assert (out / f"{name}.zim").read_bytes() == zim.read_bytes()
        assert Archive(out / f"{name}.zim").check()
    shown = run(["kiwix-manage", out / "library.xml", "show"], timeout=120).text
    assert shown.count("By zimwriterfs: ") == 3
    assert (out / "library.xml").read_text().count('language="eng,fra"') == 2


def test_any_file_name_up_to_255_bytes_ends_in_image_and_library(tmp_path: Path, mirror: Mirror) -> None:
    assert len(NAMES[-1].encode()) == 255
    zims = {
        name: make_zim(tmp_path / f"{number}.zim", f"Book {number}", 2) for number, name in enumerate(NAMES)
    }
    contents = [make_content(mirror, name, zim.read_bytes()) for name, zim in zims.items()]

    built = build(make_plan(make_places(tmp_path), *contents), make_places(tmp_path), unseen)

    out = read_out(built.image, tmp_path)
    assert {path.name for path in out.iterdir()} == {*NAMES, "library.xml"}
    for content in contents:
        assert hashlib.sha256((out / content.file).read_bytes()).hexdigest() == content.sha256
    shown = run(["kiwix-manage", out / "library.xml", "show"], timeout=120).text
    assert all(str(out / name) in shown for name in NAMES)


def read_out(image: Path, folder: Path) -> Path:
    """The card's folder of contents, read out of the image by debugfs."""
    out = folder / "out"
    out.mkdir()
    run(["debugfs", "-R", f"rdump /contents {out}", f"{image}?offset={DATA_OFFSET}"], timeout=120)
    return out / "contents"
