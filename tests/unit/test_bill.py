"""Bills of materials: of a base image's packages, and of an image."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import ImageDamaged, ProgramFailed
from cardshop.image_format import SBOM_SUFFIX, Manifest
from creator.base.bill import Package, base_bill, packages_in
from creator.build import build
from creator.plan import ImagePlan, Places
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import PACKAGES
from tests.zims import make_zim

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u10
Description: GNU C Library
 Version: this line belongs to the description

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 1:12.2.0-14+b1
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def plan(tmp_path: Path, places: Places, mirror: Mirror) -> ImagePlan:
    zim = make_zim(tmp_path / "Été.zim")
    return make_plan(places, make_content(mirror, zim.name, zim.read_bytes()))


def archive_with(folder: Path, name: str, text: str) -> Path:
    path = folder / "root.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        archive.addfile(entry, BytesIO(text.encode()))
    return path


def components(document: bytes) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads(document)["components"]}


def test_the_packages_that_are_installed_are_found_with_their_sources(tmp_path: Path) -> None:
    archive = archive_with(tmp_path, "./var/lib/dpkg/status", STATUS)

    assert packages_in(archive) == (
        Package("adduser", "3.134", "all", "adduser", "3.134"),
        Package("libc6", "2.36-9+deb12u10", "amd64", "glibc", "2.36-9+deb12u10"),
        Package("libstdc++6", "1:12.2.0-14+b1", "amd64", "gcc-12", "12.2.0-14"),
    )


def test_a_system_without_a_list_of_packages_is_no_base_image(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed):
        packages_in(archive_with(tmp_path, "./etc/hostname", "x"))


def test_a_package_has_its_version_architecture_and_source(tmp_path: Path) -> None:
    packages = packages_in(archive_with(tmp_path, "./var/lib/dpkg/status", STATUS))

    document = base_bill("cardshop-amd64", "bookworm", "a" * 64, packages, 0)

    listed = components(document)["libstdc++6"]
    assert listed["version"] == "1:12.2.0-14+b1"
    assert listed["purl"] == (
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bb1"
        "?arch=amd64&distro=debian-bookworm&upstream=gcc-12%4012.2.0-14"
    )
    facts = {entry["name"]: entry["value"] for entry in listed["properties"]}
    assert facts["cardshop:architecture"] == "amd64"
    assert (facts["cardshop:source"], facts["cardshop:source-version"]) == ("gcc-12", "12.2.0-14")
    assert (json.loads(document)["bomFormat"], json.loads(document)["specVersion"]) == ("CycloneDX", "1.5")


def test_the_same_packages_give_the_same_bytes_and_others_another_serial_number() -> None:
    newer = (replace(PACKAGES[0], version="4.0"),)

    one, same, other = (
        base_bill("cardshop-amd64", "bookworm", "a" * 64, packages, 0)
        for packages in (PACKAGES, PACKAGES, newer)
    )

    assert one == same
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]


def test_an_image_lists_its_base_its_packages_and_its_contents(plan: ImagePlan, places: Places) -> None:
    built = build(plan, places, lambda *_: None)

    document = built.sbom.read_bytes()
    listed = components(document)
    assert listed["cardshop-amd64"]["hashes"] == [{"alg": "SHA-256", "content": plan.base.sha256}]
    assert listed["hostname"]["version"] == PACKAGES[0].version
    (content,) = plan.contents
    assert listed[content.ident]["hashes"] == [{"alg": "SHA-256", "content": content.sha256}]
    assert {"name": "cardshop:file", "value": "Été.zim"} in listed[content.ident]["properties"]
    assert json.loads(document)["metadata"]["component"]["version"] == plan.digest
    assert Manifest.from_file(built.manifest).sbom_sha256 == hashlib.sha256(document).hexdigest()


def test_the_mirror_that_a_content_came_from_changes_nothing(plan: ImagePlan, places: Places) -> None:
    first = build(plan, places, lambda *_: None).sbom.read_bytes()
    moved = replace(plan, contents=tuple(replace(item, mirrors=(item.url,)) for item in plan.contents))
    elsewhere = replace(places, work=places.work.with_name("another"))

    assert build(moved, elsewhere, lambda *_: None).sbom.read_bytes() == first


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_base_whose_list_of_packages_is_not_its_own_is_refused_before_anything_is_fetched(
    plan: ImagePlan, places: Places, mirror: Mirror, damage: str
) -> None:
    bill = places.bases / f"cardshop-amd64{SBOM_SUFFIX}"
    if damage == "removed":
        bill.unlink()
    else:
        bill.write_bytes(bill.read_bytes().replace(b"3.23", b"3.24"))

    with pytest.raises(ImageDamaged) as told:
        build(plan, places, lambda *_: None)

    assert bill.name in told.value.sentence
    assert mirror.asked == []
