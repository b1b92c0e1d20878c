from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import (
    CardshopError,
    ContentDamaged,
    DoesNotFit,
    ImageDamaged,
    InvalidInput,
    NoSpace,
    NotFound,
)
from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference
from cardshop.fit import BOOT_OFFSET, MIB, Layout, layout
from cardshop.image_format import BLOCK_BYTES, BlockMap, Manifest
from cardshop.programs import run
from creator.build import build
from creator.plan import ImagePlan, Places
from creator.work_folder import discard
from tests.image_plans import IMAGE_BYTES, change_in, left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import ROOT_BYTES
from tests.zims import make_zim

ACCENTED = "Bibliothèque d'été.zim"
PARTS: Layout = layout(IMAGE_BYTES, ROOT_BYTES)
NOBODY = 65534


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def zim_bytes(folder: Path, name: str) -> bytes:
    return make_zim(folder / name, f"Title of {name}", articles=5).read_bytes()


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_under(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path)


@pytest.fixture
def plan(tmp_path: Path, places: Places, mirror: Mirror) -> ImagePlan:
    contents = [make_content(mirror, name, zim_bytes(tmp_path, name)) for name in ("plain.zim", ACCENTED)]
    return make_plan(places, *contents)


def test_an_image_has_its_parts_its_configuration_and_its_contents(plan: ImagePlan, places: Places) -> None:
    built = build(plan, places, unseen)

    table = json.loads(run(["sfdisk", "--json", built.image], timeout=120).text)["partitiontable"]
    assert table["id"] == f"0x{plan.digest[:8]}"
    assert [(part["start"] * 512, part["size"] * 512, part["type"]) for part in table["partitions"]] == [
        (BOOT_OFFSET, 512 * MIB, "c"),
        (PARTS.root_offset, ROOT_BYTES, "83"),
        (PARTS.data_offset, PARTS.data_bytes, "83"),
    ]
    recipe = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/cardshop/recipe.json"], timeout=120)
    assert json.loads(recipe.stdout) == plan.card_configuration
    cmdline = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/cmdline.txt"], timeout=120)
    assert cmdline.text == "root=LABEL=cardshop-root\n"
    hostname = run(
        ["debugfs", "-R", "cat /etc/hostname", f"{built.image}?offset={PARTS.root_offset}"], timeout=120
    )
    assert hostname.text == "cardshop\n"
    data = run(["dumpe2fs", "-h", f"{built.image}?offset={PARTS.data_offset}"], timeout=120).text
    assert "Filesystem volume name:   data\n" in data


def test_every_content_is_in_the_image_and_in_the_library(
    tmp_path: Path, plan: ImagePlan, places: Places, mirror: Mirror
) -> None:
    built = build(plan, places, unseen)

    out = tmp_path / "out"
    out.mkdir()
    run(["debugfs", "-R", f"rdump /contents {out}", f"{built.image}?offset={PARTS.data_offset}"], timeout=120)
    folder = out / "contents"
    assert files_under(folder) == {"library.xml", "plain.zim", ACCENTED}
    for content in plan.contents:
        assert (folder / content.file).read_bytes() == mirror.files[content.file]
    shown = run(["kiwix-manage", folder / "library.xml", "show"], timeout=120).text
    assert all(f"Title of {content.file}" in shown for content in plan.contents)
    assert str(folder / ACCENTED) in shown


def test_the_same_plan_makes_the_same_bytes(plan: ImagePlan, places: Places) -> None:
    first = build(plan, places, unseen)
    sums = [sha256_of(path) for path in (first.image, first.block_map, first.sbom, first.manifest)]
    discard(places.work, plan.digest)
    another = replace(places, work=places.work.with_name("another"))

    second = build(plan, another, unseen)

    again = (second.image, second.block_map, second.sbom, second.manifest)
    assert [sha256_of(path) for path in again] == sums


def test_the_block_map_alone_makes_a_good_card_of_a_used_one(
    tmp_path: Path, plan: ImagePlan, places: Places
) -> None:
    built = build(plan, places, unseen)
    card = tmp_path / "card"
    with card.open("wb") as file:
        for _ in range(IMAGE_BYTES // MIB):
            file.write(b"\xff" * MIB)

    run(["bmaptool", "copy", "--bmap", built.block_map, built.image, card], timeout=120)

    for offset in (PARTS.root_offset, PARTS.data_offset):
        run(["e2fsck", "-f", "-n", f"{card}?offset={offset}"], timeout=120)
    boot = tmp_path / "boot"
    with card.open("rb") as file, boot.open("wb") as target:
        file.seek(BOOT_OFFSET)
        target.write(file.read(512 * MIB))
    run(["fsck.vfat", "-n", boot], timeout=120)
    listed = run(["mdir", "-b", "-/", "-i", f"{card}@@{BOOT_OFFSET}", "::"], timeout=120).text.split()
    assert set(listed) >= {"::/cmdline.txt", "::/vmlinuz", "::/cardshop/recipe.json"}
    out = tmp_path / "out"
    out.mkdir()
    run(["debugfs", "-R", f"rdump /contents {out}", f"{card}?offset={PARTS.data_offset}"], timeout=120)
    for content in plan.contents:
        assert sha256_of(out / "contents" / content.file) == content.sha256
    table = run(["sfdisk", "--dump", card], timeout=120).text
    assert table.count("start=") == 3


def test_manifest_and_block_map_tell_the_same_of_the_image(plan: ImagePlan, places: Places) -> None:
    built = build(plan, places, unseen)

    manifest = Manifest.from_file(built.manifest)
    assert BlockMap.from_file(built.block_map) == BlockMap(manifest.bytes, manifest.chunks)
    assert (manifest.digest, manifest.bytes, manifest.mapped_bytes) == (
        plan.digest,
        IMAGE_BYTES,
        built.mapped_bytes,
    )
    assert [entry.sha256 for entry in manifest.contents] == [content.sha256 for content in plan.contents]
    assert manifest.base == plan.base
    assert sha256_of(built.manifest) == built.manifest_sha256
    assert manifest.chunks[0].offset == 0
    assert manifest.chunks[-1].end == built.image.stat().st_size == IMAGE_BYTES
    with built.image.open("rb") as image:
        for chunk in manifest.chunks:
            image.seek(chunk.offset)
            assert hashlib.sha256(image.read(chunk.length)).hexdigest() == chunk.sha256


def test_file_system_metadata_is_mapped_though_it_is_a_hole_in_the_file(
    plan: ImagePlan, places: Places
) -> None:
    built = build(plan, places, unseen)

    ranges = Manifest.from_file(built.manifest).ranges()
    fat_bytes = 2 * 1022 * 512
    assert any(item.offset <= BOOT_OFFSET and item.end >= BOOT_OFFSET + fat_bytes for item in ranges)
    stat = run(["debugfs", "-R", "stat <8>", f"{built.image}?offset={PARTS.data_offset}"], timeout=120).text
    first, _, last = stat.split("EXTENTS:")[1].split(":")[1].split("\n")[0].strip().partition("-")
    journal = range(
        PARTS.data_offset + int(first) * BLOCK_BYTES, PARTS.data_offset + (int(last) + 1) * BLOCK_BYTES
    )
    assert len(journal) == 16 * MIB
    assert any(item.offset <= journal.start and item.end >= journal.stop for item in ranges)


def test_progress_goes_through_the_phases_to_their_ends(plan: ImagePlan, places: Places) -> None:
    told: list[tuple[Phase, int, int, str]] = []

    built = build(plan, places, lambda *progress: told.append(progress))

    phases = [phase for phase, _ in itertools.groupby(phase for phase, _, _, _ in told)]
    assert phases == [Phase.FETCH, Phase.BUILD, Phase.CHECK]
    for phase in (Phase.FETCH, Phase.BUILD, Phase.CHECK):
        done = [step for name, step, _, _ in told if name is phase]
        assert done == sorted(done)
        assert done[-1] == next(total for name, _, total, _ in reversed(told) if name is phase)
    assert set(built.seconds) == {"fetch", "build", "check"}


def test_an_image_that_is_built_is_not_built_again(plan: ImagePlan, places: Places, mirror: Mirror) -> None:
    first = build(plan, places, unseen)
    inode = first.image.stat().st_ino
    (first.image.parent / "boot.part-killed").mkdir()

    second = build(plan, places, unseen)

    assert not (first.image.parent / "boot.part-killed").exists()
    assert second.image.stat().st_ino == inode
    assert second.manifest_sha256 == first.manifest_sha256
    assert len(mirror.asked) == 2


def test_contents_too_large_for_the_card_are_refused_before_anything_is_fetched(
    places: Places, mirror: Mirror
) -> None:
    content = make_content(mirror, "large.zim", b"", size_bytes=IMAGE_BYTES)

    with pytest.raises(DoesNotFit, match="MiB more than the card has"):
        build(make_plan(places, content), places, unseen)

    assert mirror.asked == []
    assert left_behind(places.work) == set()


def test_a_disk_with_too_little_room_is_told_before_anything_is_fetched(
    places: Places, mirror: Mirror
) -> None:
    content = make_content(mirror, "large.zim", b"", size_bytes=2_000_000 * MIB)

    with pytest.raises(NoSpace, match=r"The build needs [0-9,]+ MiB in .* are free"):
        build(make_plan(places, content, size_bytes=2_097_152 * MIB), places, unseen)

    assert mirror.asked == []


@pytest.mark.parametrize("size_bytes", [IMAGE_BYTES + 1, 2_097_156 * MIB])
def test_a_size_that_no_image_can_have_is_refused(places: Places, size_bytes: int) -> None:
    with pytest.raises(InvalidInput, match="can't have"):
        build(make_plan(places, size_bytes=size_bytes), places, unseen)


def test_what_a_canceled_build_left_is_removed_by_the_next(plan: ImagePlan, places: Places) -> None:
    canceled, finished = "0" * 64, "1" * 64
    for digest, name in ((canceled, f"{canceled}.img.part"), (finished, f"{finished}.json")):
        (places.work / digest).mkdir(parents=True)
        (places.work / digest / name).write_bytes(b"left")
    (places.work / canceled / "boot.part-killed").mkdir()

    build(plan, places, unseen)

    assert not (places.work / canceled).exists()
    assert (places.work / finished / f"{finished}.json").exists()


def test_a_file_that_is_no_zim_is_one_error_and_leaves_no_image(places: Places, mirror: Mirror) -> None:
    content = make_content(mirror, "broken.zim", b"This is no ZIM file." * 1000)

    with pytest.raises(ContentDamaged, match=r"Title of broken.zim .* is no sound ZIM file") as error:
        build(make_plan(places, content), places, unseen)

    assert error.value.field == content.ident
    assert left_behind(places.work) == set()


def test_a_zim_whose_inner_checksum_is_wrong_is_one_error(
    tmp_path: Path, places: Places, mirror: Mirror
) -> None:
    data = bytearray(zim_bytes(tmp_path, "a.zim"))
    data[len(data) // 2] ^= 1
    content = make_content(mirror, "a.zim", bytes(data))

    with pytest.raises(ContentDamaged, match="inner checksum"):
        build(make_plan(places, content), places, unseen)


@pytest.mark.parametrize("how", ["changed", "cut"])
def test_a_cache_that_was_changed_is_found_while_building_and_not_believed_again(
    plan: ImagePlan, places: Places, how: str
) -> None:
    build(plan, places, unseen)
    discard(places.work, plan.digest)
    kept = [places.cache / content.sha256 for content in plan.contents]
    content = kept[1].read_bytes()

    def swap(phase: Phase, _done: int, _total: int, _unit: str) -> None:
        if phase is Phase.BUILD:
            kept[1].write_bytes(b"x" + content[1:] if how == "changed" else content[:-1])

    with pytest.raises(ContentDamaged) as error:
        build(plan, places, swap)

    assert error.value.field == plan.contents[1].ident
    assert left_behind(places.work) == set()
    assert [path.exists() for path in kept] == [True, False]


def test_a_cached_content_that_was_cut_is_fetched_again(plan: ImagePlan, places: Places) -> None:
    build(plan, places, unseen)
    discard(places.work, plan.digest)
    os.truncate(places.cache / plan.contents[0].sha256, 1000)

    assert build(plan, places, unseen).image.exists()


@pytest.mark.parametrize("name", ["../x.zim", "", "..", "library.xml", "a\nb.zim", "é" * 130 + ".zim"])
def test_a_file_name_that_a_card_can_t_have_is_refused(places: Places, mirror: Mirror, name: str) -> None:
    content = make_content(mirror, name, b"")

    with pytest.raises(InvalidInput, match="file"):
        build(make_plan(places, content), places, unseen)


def test_two_contents_of_one_name_are_refused(places: Places, mirror: Mirror) -> None:
    content = make_content(mirror, "a.zim", b"")

    with pytest.raises(InvalidInput, match=r"a\.zim"):
        build(make_plan(places, content, content), places, unseen)


def test_an_unknown_base_is_told(places: Places) -> None:
    with pytest.raises(NotFound, match="cardshop-riscv64"):
        build(make_plan(places, base=BaseReference("cardshop-riscv64", "0" * 64)), places, unseen)


def test_another_build_of_the_base_is_told(places: Places) -> None:
    with pytest.raises(ImageDamaged, match="not the one"):
        build(make_plan(places, base=BaseReference("cardshop-amd64", "0" * 64)), places, unseen)


@pytest.mark.parametrize("how", ["changed", "cut", "manifest is none"])
@pytest.mark.parametrize("cached", [False, True])
def test_a_damaged_base_is_one_error_and_nothing_is_fetched_or_left(
    plan: ImagePlan, places: Places, mirror: Mirror, how: str, cached: bool
) -> None:
    if cached:
        build(plan, places, unseen)
        discard(places.work, plan.digest)
    asked = len(mirror.asked)
    image, manifest = places.bases / "cardshop-amd64.img", places.bases / "cardshop-amd64.json"
    if how == "changed":
        change_in(image, b"root file system")
    elif how == "cut":
        os.truncate(image, image.stat().st_size - MIB)
    else:
        manifest.write_text("")

    with pytest.raises(ImageDamaged, match=r"was changed|no base image's manifest"):
        build(plan, places, unseen)
    assert len(mirror.asked) == asked
    assert left_behind(places.work) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="all tests show it when they don't run as root")
def test_an_ordinary_user_can_build(mirror: Mirror) -> None:
    if not all(part.stat().st_mode & 0o001 for part in Path(__file__).resolve().parents):
        pytest.skip("this copy of the code lies where an ordinary user may not read")
    folder = Path(tempfile.mkdtemp())
    try:
        places = make_places(folder)
        plan = make_plan(places, make_content(mirror, "a.zim", zim_bytes(folder, "a.zim")))
        # First by root: what Python loads when it is needed may lie where others may not read.
        by_root = build(plan, places, unseen).manifest_sha256
        discard(places.work, plan.digest)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()

        def build_as_nobody() -> None:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                answers.put(build(plan, places, unseen).manifest_sha256)
            except CardshopError as error:
                answers.put(f"{error} {error.hint}")

        process = context.Process(target=build_as_nobody)
        process.start()
        process.join()
        assert process.exitcode == 0
        by_nobody = answers.get()
        discard(places.work, plan.digest)

        assert by_nobody == by_root
    finally:
        shutil.rmtree(folder)
