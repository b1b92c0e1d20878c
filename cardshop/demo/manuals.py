"""Real contents: HTML manuals packaged by Debian, made into ZIM files by openZIM's zimwriterfs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from cardshop.contract.errors import ProgramFailed
from cardshop.programs import run

ILLUSTRATION_PIXELS = 48
"""Width and height that the ZIM format asks of a book's illustration."""

PUBLISHER = "Cardshop demo"


@dataclass(frozen=True)
class Manual:
    """An HTML manual inside a Debian package."""

    package: str
    folder: str  # inside the package
    welcome: str  # start page, in that folder
    name: str  # the ZIM's name and file name
    title: str
    description: str
    creator: str
    language: str  # ISO 639-3
    colour: str  # of the illustration
    page: str  # a page to open when the card is booted
    words: str  # that the page shows


MANUALS = (
    Manual(
        package="debian-faq",
        folder="usr/share/doc/debian/FAQ",
        welcome="index.en.html",
        name="debian-faq_en",
        title="The Debian FAQ",
        description="Questions that are asked often about Debian, with answers",
        creator="Debian Documentation Project",
        language="eng",
        colour="#a80030",
        page="basic-defs.en.html",
        words="Debian",
    ),
    Manual(
        package="debian-handbook",
        folder="usr/share/doc/debian-handbook/html/fr-FR",
        welcome="index.html",
        name="debian-handbook_fr",
        title="Le cahier de l'administrateur Debian",
        description="Le manuel de Debian, de l'installation au serveur",
        creator="R. Hertzog, R. Mas",
        language="fra",
        colour="#1f6f8b",
        page="preface.html",
        words="Debian",
    ),
)


def make_zims(folder: Path) -> list[Path]:
    """The manuals as ZIM files in ``folder``; one that is there already is kept.

    Raises:
        ProgramFailed: a package can't be downloaded, or zimwriterfs refuses it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_make_zim(manual, folder) for manual in MANUALS]


def _make_zim(manual: Manual, folder: Path) -> Path:
    target = folder / f"{manual.name}.zim"
    if target.exists():
        return target
    work = folder / f".{manual.name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    pages = _unpack(manual, work)
    _draw_illustration(manual, pages / "illustration.png")
    half = work / target.name
    run(
        [
            "zimwriterfs",
            f"--welcome={manual.welcome}",
            "--illustration=illustration.png",
            f"--language={manual.language}",
            f"--title={manual.title}",
            f"--description={manual.description}",
            f"--creator={manual.creator}",
            f"--publisher={PUBLISHER}",
            f"--name={manual.name}",
            pages,
            half,
        ],
        timeout=600,
    )
    half.rename(target)
    shutil.rmtree(work)
    return target


def _unpack(manual: Manual, work: Path) -> Path:
    try:
        run(["apt-get", "download", manual.package], timeout=600, cwd=work)
    except ProgramFailed as error:
        raise ProgramFailed(
            f"The manual {manual.package} can't be downloaded from Debian.",
            hint=f"Is there a network? Then run: sudo apt-get update. ({error.hint})",
        ) from error
    package = next(work.glob("*.deb"))
    run(["dpkg-deb", "--extract", package, work / "package"], timeout=300)
    return work / "package" / manual.folder


def _draw_illustration(manual: Manual, path: Path) -> None:
    size = (ILLUSTRATION_PIXELS, ILLUSTRATION_PIXELS)
    picture = Image.new("RGB", size, manual.colour)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((8, 6, 40, 42), fill="white")
    pen.text((15, 18), manual.language[:2].upper(), fill=manual.colour)
    picture.save(path)
