"""Offspot recipes built on a base laid out as Offspot's; what came out is read by debugfs and mtools."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import ContentDamaged, DoesNotFit, ImageDamaged, InvalidInput
from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import BOOT_OFFSET, MIB, layout
from cardshop.image_format import Manifest
from cardshop.programs import run
from creator.build import build
from creator.plan import BuiltImage, ImagePlan, Places
from creator.unpack import unpack
from creator.work_folder import discard
from tests.image_plans import WEB, change_in, left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.offspot_base import BUNDLED, DISK_ID, NAME, ROOT_BYTES, make_offspot_base
from tests.zims import make_zim

IMAGE_BYTES = 800 * MIB
DATA_OFFSET = layout(IMAGE_BYTES, ROOT_BYTES).data_offset
RUNTIME = "ap:\n  passphrase: secret of the card\n  ssid: Kiwix Offspot\n"
MESSAGE = "hello wörld".encode()


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_offspot_base(tmp_path_factory.mktemp("bases")).parent


@pytest.fixture
def places(tmp_path: Path, base: Path) -> Places:
    return Places(base, tmp_path / "cache", tmp_path / "work", WEB)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


def offspot_plan(places: Places, *contents: Content, **changes: Any) -> ImagePlan:
    reference = BaseReference(NAME, json.loads((places.bases / f"{NAME}.json").read_text())["sha256"])
    files = [{"to": "/data/conf/message.txt", "content": base64.b64encode(MESSAGE).decode()}]
    configuration = {"version": 1, "offspot": {"runtime": RUNTIME, "files": files}}
    plan = ImagePlan("5a" * 32, IMAGE_BYTES, reference, contents, configuration)
    return replace(plan, **changes)


def a_file(mirror: Mirror, to: str, data: bytes, **changes: Any) -> Content:
    content = make_content(mirror, to.rpartition("/")[2] or "nameless", data, ident="files[0]", title=to)
    return replace(content, file=to, **changes)


def an_archive(mirror: Mirror, to: str, via: str, data: bytes, unpacked: int = MIB) -> Content:
    return a_file(mirror, to, data, via=via, unpacked_bytes=unpacked)


def tar_of(*members: tuple[tarfile.TarInfo, bytes], compression: str = "") -> bytes:
    stream = io.BytesIO()
    mode: Any = f"w:{compression}"
    with tarfile.open(fileobj=stream, mode=mode) as writer:
        for member, data in members:
            member.size = len(data)
            writer.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def member(name: str, **facts: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def zip_of(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, data in files.items():
            writer.writestr(name, data)
    return stream.getvalue()


def asked(built: BuiltImage, command: str) -> str:
    return run(["debugfs", "-R", command, f"{built.image}?offset={DATA_OFFSET}"], timeout=120).text


def mode_and_owner(built: BuiltImage, path: str) -> tuple[str, str, str]:
    told = re.search(r"Mode: +(\d+).*?User: +(\d+) +Group: +(\d+)", asked(built, f'stat "{path}"'), re.DOTALL)
    assert told
    return told[1], told[2], told[3]


def test_a_base_whose_data_partition_has_small_blocks_is_one_too(tmp_path: Path, places: Places) -> None:
    places = replace(places, bases=make_offspot_base(tmp_path / "bases", data_block_bytes=1024).parent)

    built = build(offspot_plan(places), places, unseen)

    assert asked(built, "ls /images").count("base-httpd-1.0.tar") == 1


def test_damage_in_the_bases_data_partition_is_found_after_its_proof_was_kept(
    tmp_path: Path, places: Places
) -> None:
    places = replace(places, bases=make_offspot_base(tmp_path / "bases").parent)
    plan = offspot_plan(places)
    build(plan, places, unseen)
    discard(places.work, plan.digest)
    change_in(places.bases / f"{NAME}.img", BUNDLED)

    with pytest.raises(ImageDamaged, match="was changed"):
        build(plan, places, unseen)


def test_files_lie_at_their_paths_beside_what_the_base_brought(
    tmp_path: Path, places: Places, mirror: Mirror
) -> None:
    zim = make_zim(tmp_path / "a.zim", "A", 2).read_bytes()

    built = build(offspot_plan(places, a_file(mirror, "/data/contents/zims/a b.zim", zim)), places, unseen)

    run(["e2fsck", "-fn", f"{built.image}?offset={DATA_OFFSET}"], timeout=120)
    out = tmp_path / "out"
    out.mkdir()
    asked(built, f"rdump / {out}")
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == {
        "contents/zims/a b.zim": zim,
        "conf/message.txt": MESSAGE,
        "master_fs": b"",
        "images/base-httpd-1.0.tar": BUNDLED,
    }
    assert mode_and_owner(built, "/contents/zims/a b.zim") == ("0644", "0", "0")
    assert mode_and_owner(built, "/contents/zims") == ("0755", "0", "0")
    [entry] = Manifest.from_file(built.manifest).contents
    assert (entry.ident, entry.file) == ("files[0]", "/data/contents/zims/a b.zim")


def test_the_runtime_configuration_takes_the_base_s_place_and_the_disk_keeps_its_identity(
    places: Places,
) -> None:
    built = build(offspot_plan(places), places, unseen)

    drive = f"{built.image}@@{BOOT_OFFSET}"
    assert run(["mtype", "-i", drive, "::/offspot.yaml"], timeout=120).text == RUNTIME
    table = json.loads(run(["sfdisk", "--json", built.image], timeout=120).text)["partitiontable"]
    assert int(table["id"], 16) == DISK_ID
    assert len(table["partitions"]) == 3
    listed = run(["mdir", "-b", "-i", drive, "::"], timeout=120).text.split()
    assert "::/cardshop/recipe.json" not in listed


def test_the_base_s_own_configuration_stays_when_the_recipe_has_none(places: Places) -> None:
    plan = offspot_plan(places, card_configuration={"version": 1, "offspot": {"runtime": "", "files": []}})

    built = build(plan, places, unseen)

    kept = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/offspot.yaml"], timeout=120).text
    assert kept == "hostname: offspot-base\n"


@pytest.mark.parametrize(
    ("via", "compression"), [("tar", ""), ("gztar", "gz"), ("bztar", "bz2"), ("xztar", "xz")]
)
def test_a_tar_archive_is_unpacked_with_modes_and_links(
    places: Places, mirror: Mirror, via: str, compression: str
) -> None:
    data = tar_of(
        (member("a folder/index.html", mode=0o640, uid=1000, gid=1000), b"<p>hello"),
        (member("run", mode=0o4755), b"#!/bin/sh\n"),
        (member("now", type=tarfile.SYMTYPE, linkname="a folder/index.html"), b""),
        (member('Bibliothèque d\'"été"', mode=0o644), "été".encode()),
        compression=compression,
    )

    plan = offspot_plan(places, an_archive(mirror, "/data/contents/site", via, data))
    built = build(plan, places, unseen)

    assert asked(built, 'cat "/contents/site/a folder/index.html"') == "<p>hello"
    assert asked(built, 'cat "/contents/site/Bibliothèque d\'""été"""') == "été"
    assert mode_and_owner(built, "/contents/site/a folder/index.html") == ("0640", "0", "0")
    assert mode_and_owner(built, "/contents/site/run") == ("0755", "0", "0")
    assert 'link dest: "a folder/index.html"' in asked(built, "stat /contents/site/now")
    assert {path.suffix for path in built.image.parent.iterdir()} == {".img", ".bmap", ".json"}


def test_a_zip_archive_is_unpacked(places: Places, mirror: Mirror) -> None:
    data = zip_of(**{"a/b/c.txt": b"c" * 5000, "d.txt": b""})

    built = build(offspot_plan(places, an_archive(mirror, "/data/x", "zip", data)), places, unseen)

    assert asked(built, "cat /x/a/b/c.txt") == "c" * 5000
    assert mode_and_owner(built, "/x/d.txt") == ("0644", "0", "0")


def test_the_same_offspot_plan_makes_the_same_bytes(tmp_path: Path, places: Places, mirror: Mirror) -> None:
    plan = offspot_plan(places, an_archive(mirror, "/data/x", "zip", zip_of(a=b"a", b=b"b")))

    first = build(plan, places, unseen).manifest.read_bytes()
    second = build(plan, replace(places, work=tmp_path / "other"), unseen).manifest.read_bytes()

    assert first == second


BAD_TARS = {
    "absolute link": [(member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")],
    "link out": [(member("a", type=tarfile.SYMTYPE, linkname="../../x"), b"")],
    "through a link": [
        (member("a", type=tarfile.SYMTYPE, linkname="b"), b""),
        (member("b", type=tarfile.SYMTYPE, linkname="../.."), b""),
    ],
    "hard link out": [(member("a", type=tarfile.LNKTYPE, linkname="../../a"), b"")],
    "path out": [(member("../../a"), b"x")],
    "device": [(member("a", type=tarfile.BLKTYPE), b"")],
    "pipe": [(member("a", type=tarfile.FIFOTYPE), b"")],
    "name too long": [(member("n" * 256), b"x")],
    "too large": [(member("a"), b"x" * (MIB + 1))],
}


@pytest.mark.parametrize("why", BAD_TARS)
def test_a_tar_archive_that_leads_out_or_grows_is_refused_and_leaves_nothing(
    tmp_path: Path, places: Places, mirror: Mirror, why: str
) -> None:
    plan = offspot_plan(places, an_archive(mirror, "/data/x", "tar", tar_of(*BAD_TARS[why])))

    with pytest.raises(ContentDamaged, match=r"archive for /x is refused") as error:
        build(plan, places, unseen)

    assert error.value.field == "files[0]"
    assert left_behind(places.work) == set()
    assert not list(tmp_path.glob("a"))


@pytest.mark.parametrize("name", ["../a", "/etc/a", "x/../../a", "a\\..\\b"])
def test_a_zip_archive_that_leads_out_is_refused(places: Places, mirror: Mirror, name: str) -> None:
    plan = offspot_plan(places, an_archive(mirror, "/data/x", "zip", zip_of(**{name: b"x"})))

    with pytest.raises(ContentDamaged, match="leads out"):
        build(plan, places, unseen)


@pytest.mark.parametrize("via", ["gztar", "bztar", "xztar", "zip"])
def test_a_small_archive_of_many_bytes_is_refused_before_they_are_written(
    places: Places, mirror: Mirror, via: str
) -> None:
    if via == "zip":
        data = zip_of(bomb=bytes(64 * MIB))
    else:
        data = tar_of(
            (member("bomb"), bytes(64 * MIB)), compression=via.removesuffix("tar").replace("bz", "bz2")
        )

    plan = offspot_plan(places, an_archive(mirror, "/data/x", via, data))

    with pytest.raises(ContentDamaged, match="more than its size says"):
        build(plan, places, unseen)


def test_a_header_that_says_gibibytes_is_refused(places: Places, mirror: Mirror) -> None:
    head = member("long", type=tarfile.GNUTYPE_LONGNAME, size=8 * 1024 * MIB).tobuf(tarfile.GNU_FORMAT)

    plan = offspot_plan(places, an_archive(mirror, "/data/x", "tar", head + bytes(20_000)))

    with pytest.raises(ContentDamaged, match="headers is too large"):
        build(plan, places, unseen)


@pytest.mark.parametrize("via", ["tar", "gztar", "xztar", "zip"])
def test_what_is_no_archive_is_told(places: Places, mirror: Mirror, via: str) -> None:
    plan = offspot_plan(places, an_archive(mirror, "/data/x", via, b"This is no archive." * 100))

    with pytest.raises(ContentDamaged, match="refused"):
        build(plan, places, unseen)


@pytest.mark.parametrize(
    "to", ["/etc/passwd", "/data/../etc/x", "/data/", "/data/a//b", "/data/" + "n" * 256]
)
def test_a_path_out_of_the_data_partition_is_refused(places: Places, mirror: Mirror, to: str) -> None:
    with pytest.raises(InvalidInput) as error:
        build(offspot_plan(places, a_file(mirror, to, b"x")), places, unseen)

    assert error.value.field == "files[0]"
    assert mirror.asked == []


def test_a_file_where_a_folder_must_be_is_refused(places: Places, mirror: Mirror) -> None:
    files = [a_file(mirror, "/data/a", b"x"), a_file(mirror, "/data/a/b", b"x")]

    with pytest.raises(InvalidInput, match="is a file"):
        build(offspot_plan(places, *files), places, unseen)


def test_an_archive_too_large_for_the_card_is_refused_before_it_is_fetched(
    places: Places, mirror: Mirror
) -> None:
    archive = an_archive(mirror, "/data/x", "tar", b"", unpacked=IMAGE_BYTES)

    with pytest.raises(DoesNotFit):
        build(offspot_plan(places, archive), places, unseen)

    assert mirror.asked == []


def test_recipe_and_base_of_different_kinds_are_refused(tmp_path: Path, places: Places) -> None:
    own = make_places(tmp_path / "own")
    of_ours = make_plan(own).base

    with pytest.raises(InvalidInput, match="wrong kind"):
        build(offspot_plan(places, base=of_ours), own, unseen)
    with pytest.raises(InvalidInput, match="wrong kind"):
        build(offspot_plan(places, card_configuration={"version": 1}), places, unseen)


def test_hard_links_count_as_the_files_that_they_become(tmp_path: Path) -> None:
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as made:
        file = tarfile.TarInfo("file")
        file.size = MIB
        made.addfile(file, io.BytesIO(bytes(MIB)))
        for number in range(50):
            link = tarfile.TarInfo(f"link-{number}")
            link.type, link.linkname = tarfile.LNKTYPE, "file"
            made.addfile(link)

    with pytest.raises(ContentDamaged, match="more than its size says"):
        list(unpack(archive, "tar", tmp_path / "into", limit_bytes=2 * MIB, path="x", ident="files"))
