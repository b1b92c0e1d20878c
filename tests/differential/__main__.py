"""The same Offspot YAML through ``image-creator`` and through ours, on the same base: ``make differential``.

Outside CI: it needs root, and Offspot's ``image-creator``, fetched and installed by whoever runs it (see
``bench/image_creator.py``). Both images are listed by debugfs, mtools and sfdisk. Each difference is told
with why it is there; one that has no reason here ends it with status 1. docs/offspot.md has the same list.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bench import image_creator
from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, MIB
from cardshop.programs import run
from creator.build import build
from creator.image.base_data import data_offset, disk_id, read_tree
from creator.image.tree import File, Folder
from creator.mirrors import Web as Mirrors
from creator.plan import ImagePlan, Places
from scheduler.catalogue.web import Web
from scheduler.domain import offspot as rules
from scheduler.shop import offspot as shop
from tests.offspot_base import NAME, ROOT_BYTES, make_offspot_base
from tests.shop import a_draft
from tests.zims import make_zim

LOOPBACK = frozenset({"127.0.0.1"})
IMAGE_BYTES = 1024 * MIB
SECONDS = 90.0
"""Until image-creator is said to hang: it takes some ten."""

REASONS = {
    "boot:cardshop": "ours adds /cardshop: manifest, map of files and the place of the card's passport",
    "table:boot": "ours marks the boot partition as the active one, which some firmware asks for",
    "owner:tar": "image-creator gives a tar archive's files the owners named in it; ours are root's",
    "mode:tar": "ours drops set-user-id and what group and others may write; image-creator keeps it",
    "junk": "image-creator removes what desktops leave in archives (.DS_Store, …); ours keeps it",
}

READS_YAML = """
import sys
from offspot_config.inputs.mainconfig import MainConfig
config = MainConfig.read_from(sys.stdin.read())
print(len(config.all_files), len(config.all_images), config.rootfs_size)
"""


def main() -> int:
    """Runs both and compares."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=(__doc__ or "")[:110])
    parser.add_argument(
        "--image-creator", type=Path, default=os.environ.get(image_creator.VARIABLE), required=False
    )
    arguments = parser.parse_args()
    if arguments.image_creator is None or os.geteuid() != 0:
        parser.error(f"needs root, and {image_creator.VARIABLE}: where Offspot's image-creator is")
    program = Path(arguments.image_creator).absolute()
    with tempfile.TemporaryDirectory(prefix="differential-") as scratch:
        return compare(program, Path(scratch))


def compare(program: Path, folder: Path) -> int:
    """Status 0 when every difference has its reason."""
    # fusefat damages a file system when it writes to a file that is there: the base has no offspot.yaml.
    base = make_offspot_base(folder / "bases", is_configured=False)
    shared = folder / "served"
    shared.mkdir()
    make_contents(shared)
    unexplained = 0
    with image_creator.served(shared) as address:
        for name, files in documents(address, shared).items():
            work = folder / name
            work.mkdir()
            unexplained += compare_one(program, base, name, document(base, files), work)
            shutil.rmtree(work)
    tell(f"offspot-config reads what we export: {read_by_peer(program)}")
    tell(f"{unexplained} differences are not explained")
    return 1 if unexplained else 0


def compare_one(program: Path, base: Path, name: str, text: str, work: Path) -> int:
    """Both images of one YAML; how many differences have no reason."""
    (work / "image.yaml").write_text(text)
    ours = build_ours(base, text, work)
    theirs = work / "theirs.img"
    try:
        image_creator.create(program, work / "image.yaml", theirs, None, work / "log", timeout=SECONDS)
    except subprocess.SubprocessError as error:
        tell(f"{name}: ours makes the image, image-creator doesn't ({type(error).__name__})")
        return 0
    unexplained = 0
    for what, reason in found(theirs, ours, work):
        unexplained += reason is None
        tell(f"{name}: {what}\n    {REASONS[reason] if reason else 'NOT EXPLAINED'}")
    tell(f"{name}: compared")
    return unexplained


def make_contents(folder: Path) -> None:
    """What the YAML's addresses lead to, each with its SHA-256 beside it."""
    make_zim(folder / "a.zim", "A", 5)
    (folder / "b.bin").write_bytes(bytes(range(256)) * 5000)
    with tarfile.open(folder / "site.tar", "w") as writer:
        for name, mode, owner, data in (
            ("site/index.html", 0o644, 0, b"<p>hello"),
            ("site/Bibliothèque d'été.txt", 0o640, 0, "été".encode()),
            ("site/owned.txt", 0o644, 1000, b"of 1000"),
            ("site/run.sh", 0o4775, 0, b"#!/bin/sh\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = len(data), mode, owner, owner
            writer.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("site/now")
        link.type, link.linkname = tarfile.SYMTYPE, "index.html"
        writer.addfile(link)
    run(["gzip", "-k", folder / "site.tar"], timeout=60)
    with zipfile.ZipFile(folder / "files.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a folder/b.txt", "b" * 5000)
        packed.writestr(".DS_Store", "left by a desktop")
        packed.writestr("__MACOSX/._b.txt", "left by a desktop")
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.sha256").write_text(f"{image_creator.sha256_of(file)}  {file.name}\n")


def documents(address: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The ``files`` of each YAML: one without archives, and one for each kind of archive."""
    checksum = {"algo": "sha-256", "value": image_creator.sha256_of(folder / "a.zim")}
    files: dict[str, list[dict[str, Any]]] = {
        "files": [
            {"to": "/data/contents/zims/a book.zim", "url": f"{address}/a.zim", "checksum": checksum},
            {"to": "/data/contents/Bibliothèque d'été", "url": f"{address}/b.bin"},
            {"to": "/data/conf/message.txt", "content": "\n  hello wörld\n"},
            {"to": "/data/conf/logo.bin", "content": "iVBORw0KGgo=", "via": "base64"},
        ]
    }
    for via, name in (("tar", "site.tar"), ("gztar", "site.tar.gz"), ("zip", "files.zip")):
        files[via] = [{"to": "/data/contents/site", "url": f"{address}/{name}", "via": via, "size": MIB}]
    return files


def document(base: Path, files: list[dict[str, Any]]) -> str:
    """The YAML that both get."""
    return yaml.safe_dump(
        {
            "base": {"source": f"file://{base}", "rootfs_size": BOOT_OFFSET + BOOT_BYTES + ROOT_BYTES},
            "output": {"size": IMAGE_BYTES},
            "oci_images": [],
            "files": files,
            "write_config": True,
            "offspot": {
                "timezone": "Africa/Bamako",
                "hostname": "demo",
                "ap": {"ssid": "Kiwix d'été", "passphrase": "reading-is-free", "tld": "offspot"},
                "containers": {"services": {"kiwix": {"image": "x", "ports": ["80:80"]}}},
            },
        }
    )


def build_ours(base: Path, text: str, folder: Path) -> Path:
    """Our image of it, by the ways that a shop and a creator go."""
    told = rules.read(yaml.safe_load(text), text)
    contents = shop.pinned(Web(LOOPBACK), told.recipe(text))
    reference = BaseReference(NAME, image_creator.sha256_of(base))
    plan = ImagePlan(
        hashlib.sha256(text.encode()).hexdigest(), IMAGE_BYTES, reference, contents, shop.configuration(text)
    )
    places = Places(base.parent, folder / "cache", folder / "work", Mirrors(LOOPBACK))
    return build(plan, places, unseen).image


def found(theirs: Path, ours: Path, folder: Path) -> Iterator[tuple[str, str | None]]:
    """Each difference, and which of the reasons it has."""
    yield from tables(theirs, ours)
    yield from boots(theirs, ours)
    if digest_of(theirs, BOOT_OFFSET + BOOT_BYTES) != digest_of(ours, BOOT_OFFSET + BOOT_BYTES):
        yield "root: other bytes", None
    left, right = (
        {item.path: item for item in read_tree(image, data_offset(image) or 0, folder / f"{image.stem}-data")}
        for image in (theirs, ours)
    )
    for path in sorted(left.keys() | right.keys()):
        if path not in left:
            yield f"data: {path} only in ours", "junk" if _is_junk(path) else None
        elif path not in right:
            yield f"data: {path} only in theirs", None
        else:
            yield from entry(path, left[path], right[path])


def entry(path: str, theirs: Any, ours: Any) -> Iterator[tuple[str, str | None]]:
    """Differences of one file, folder or link."""
    if type(theirs) is not type(ours):
        yield f"data: {path} is another kind of file", None
        return
    if isinstance(ours, File) and theirs.sha256 != ours.sha256:
        yield f"data: {path} has other bytes", None
    if isinstance(ours, File | Folder):
        from_tar = path.startswith("/contents/site/")
        if theirs.owner != ours.owner:
            whose = (
                f"{theirs.owner.user}:{theirs.owner.group} there, {ours.owner.user}:{ours.owner.group} here"
            )
            yield f"data: {path} is of {whose}", "owner:tar" if from_tar else None
        if theirs.mode != ours.mode:
            yield (
                f"data: {path} has mode {theirs.mode:o} there, {ours.mode:o} here",
                "mode:tar" if from_tar else None,
            )
    elif theirs.target != ours.target:
        yield f"data: {path} leads elsewhere", None


def tables(theirs: Path, ours: Path) -> Iterator[tuple[str, str | None]]:
    """Differences of the partition tables."""
    if disk_id(theirs) != disk_id(ours):
        yield "table: another disk identity", None
    starts = []
    for image in (theirs, ours):
        lines = run(["sfdisk", "--dump", image], timeout=30).text.splitlines()
        starts.append([" ".join(line.split(":", 1)[1].split()) for line in lines if "start=" in line])
    for number, (one, other) in enumerate(zip(*starts, strict=True), 1):
        if one != other:
            reason = "table:boot" if f"{one}, bootable" == other else None
            yield f"table: partition {number}: {one.strip()} there, {other.strip()} here", reason


def boots(theirs: Path, ours: Path) -> Iterator[tuple[str, str | None]]:
    """Differences of the boot partitions' files."""
    left, right = boot_files(theirs), boot_files(ours)
    for path in sorted(left.keys() | right.keys()):
        if path.startswith("cardshop/"):
            yield f"boot: {path} only in ours", "boot:cardshop"
        elif left.get(path) != right.get(path):
            yield f"boot: {path}: {left.get(path)!r} there, {right.get(path)!r} here", None


def boot_files(image: Path) -> Mapping[str, bytes]:
    """Path and bytes of each file, by mtools."""
    drive = f"{image}@@{BOOT_OFFSET}"
    listed = run(["mdir", "-b", "-/", "-i", drive, "::"], timeout=60).text.splitlines()
    names = [line.removeprefix("::/") for line in listed if not line.endswith("/")]
    return {name: run(["mtype", "-i", drive, f"::/{name}"], timeout=60).stdout for name in names}


def digest_of(image: Path, offset: int) -> str:
    """Of the root partition."""
    with image.open("rb") as stream:
        stream.seek(offset)
        return hashlib.sha256(stream.read(ROOT_BYTES)).hexdigest()


def read_by_peer(program: Path) -> str:
    """What Offspot's library makes of a YAML that we export."""
    resolved = a_draft().resolved
    text = shop.exported(resolved.recipe, resolved, None).replace(
        f"source: {shop.BASE_SOURCE}", "source: file:///base.img"
    )
    argv: list[str | Path] = [program.with_name("python"), "-c", READS_YAML]
    done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False, timeout=120)
    return done.stdout.decode().strip() or f"no: {done.stderr.decode().splitlines()[-1]}"


def _is_junk(path: str) -> bool:
    return path.endswith(".DS_Store") or "__MACOSX" in path


def tell(line: str) -> None:
    """A line for who runs it."""
    sys.stdout.write(line + "\n")


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    sys.exit(main())
