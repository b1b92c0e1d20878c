"""What a creator keeps of a base image that it has read whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.contract.events import Phase
from cardshop.file_map import with_checksums
from cardshop.fit import BOOT_OFFSET, MIB, Layout, layout
from cardshop.image_format import (
    FILES_FILE,
    MANIFEST_FILE,
    PASSPORT_FILE,
    SBOM_SUFFIX,
    Chunk,
    Manifest,
    Range,
)
from creator.base.disk import sha256_of
from creator.build import PROOFS, build
from creator.image.base_image import BaseImage, data_pieces, open_base
from creator.image.base_proof import BaseProof, base_ranges, proof_of, prove_base
from creator.image.block_map import checksum
from creator.image.boot_partition import write_file
from creator.plan import ImagePlan, Places
from creator.work_folder import discard, sweep
from tests.image_plans import IMAGE_BYTES, change_in, left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import ROOT_BYTES
from tests.zims import make_zim

PARTS: Layout = layout(IMAGE_BYTES, ROOT_BYTES)
BOOT_CODE = 300
"""A place in the first sector: boot code, which stays what the base has."""

VOLUME_ID = BOOT_OFFSET + 67
"""Of the boot partition: an fstab may name it by that."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path)


@pytest.fixture
def plan(tmp_path: Path, places: Places, mirror: Mirror) -> ImagePlan:
    return make_plan(places, make_content(mirror, "a.zim", make_zim(tmp_path / "a.zim").read_bytes()))


@pytest.fixture
def base(plan: ImagePlan, places: Places) -> BaseImage:
    return open_base(places.bases, plan.base)


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def change_unused(base: BaseImage) -> None:
    """Damages the base behind all that its files use."""
    behind = max(item.end for item in base_ranges(base, PARTS).root if item.end < PARTS.data_offset - MIB)
    change_in(base.image, b"", behind)


def built_anew(plan: ImagePlan, places: Places) -> str:
    discard(places.work, plan.digest)
    return build(plan, places, unseen).manifest_sha256


def proven(base: BaseImage, folder: Path) -> BaseProof:
    return prove_base(base, PARTS, base_ranges(base, PARTS), folder)


def kept_in(places: Places) -> Path:
    [kept] = (places.work / PROOFS).glob("*.json")
    return kept


def test_the_proof_has_the_pieces_that_the_base_has(tmp_path: Path, base: BaseImage) -> None:
    ranges = base_ranges(base, PARTS)

    proof = prove_base(base, PARTS, ranges, tmp_path / "kept")

    def read(*of: Range) -> tuple[Chunk, ...]:
        return checksum(base.image, of, lambda _count: None)

    assert proof.sha256 == base.manifest.sha256
    assert (proof.before_boot, proof.root, proof.data) == (
        read(Range(0, BOOT_OFFSET)),
        read(*ranges.root),
        (),
    )
    files = {file.path: (file.bytes, file.chunks) for file in proof.boot}
    assert files == {file.path: (file.bytes, read(*file.ranges)) for file in ranges.files}
    assert {"cmdline.txt", "vmlinuz"} <= files.keys()
    assert proof.structure == read(*ranges.structure)
    with base.image.open("rb") as stream:
        summed = with_checksums(proof.system, lambda at, count: os.pread(stream.fileno(), count, at))
        assert tuple(summed) == tuple(sorted(proof.system, key=lambda part: part.offset))
    assert {"/etc/hostname", "/etc/filler"} <= {part.path for part in proof.system}


def test_what_was_found_is_not_looked_for_again(tmp_path: Path, base: BaseImage) -> None:
    ranges = base_ranges(base, PARTS)
    proof = prove_base(base, PARTS, ranges, tmp_path)

    change_unused(base)  # whoever reads all of it would see that

    assert proof_of(base, PARTS, ranges, tmp_path) == proof


@pytest.mark.parametrize("other", ["another base", "other ranges", "other files"])
def test_what_was_found_of_something_else_does_not_count(tmp_path: Path, base: BaseImage, other: str) -> None:
    ranges = base_ranges(base, PARTS)
    prove_base(base, PARTS, ranges, tmp_path)
    change_unused(base)
    if other == "another base":
        base = replace(base, manifest=replace(base.manifest, sha256="0" * 64))
    elif other == "other ranges":
        ranges = replace(ranges, root=ranges.root[:-1])
    else:
        ranges = replace(ranges, files=ranges.files[:-1])

    with pytest.raises(ImageDamaged, match="was changed"):
        proof_of(base, PARTS, ranges, tmp_path)


@pytest.mark.parametrize("how", ["empty", "cut", "a digit", "not text", "another format"])
def test_a_kept_proof_that_is_broken_is_made_anew(plan: ImagePlan, places: Places, how: str) -> None:
    first = build(plan, places, unseen).manifest_sha256
    kept = kept_in(places)
    before = kept.read_bytes()
    broken = {
        "empty": b"",
        "cut": before[:-1],
        "a digit": before.replace(b'"crc": 1', b'"crc": 2'),
        "not text": b"\xff" + before,
        "another format": before.replace(b"proof 1", b"proof 0"),
    }
    assert broken[how] != before
    kept.write_bytes(broken[how])

    assert built_anew(plan, places) == first
    assert kept.read_bytes() == before


@pytest.mark.parametrize("what", [PROOFS, f"{PROOFS}/cardshop-amd64.json"])
def test_an_image_is_built_where_no_proof_can_be_kept(plan: ImagePlan, places: Places, what: str) -> None:
    blocked = places.work / what
    if what == PROOFS:
        places.work.mkdir()
        blocked.write_text("no folder")
    else:
        (blocked / "no file").mkdir(parents=True)

    first = build(plan, places, unseen).manifest_sha256

    assert built_anew(plan, places) == first


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (b"", BOOT_CODE),
        (b"", VOLUME_ID),
        (b"CMDLINE", BOOT_OFFSET),
        (bytes(range(256)), BOOT_OFFSET),
        (b"root file system", PARTS.root_offset),
    ],
    ids=["boot code", "boot sector", "boot folder", "boot file", "system"],
)
def test_a_base_that_was_damaged_after_its_proof_is_found_in_every_part(
    plan: ImagePlan, places: Places, base: BaseImage, data: bytes, start: int
) -> None:
    build(plan, places, unseen)
    change_in(base.image, data, start)

    with pytest.raises(ImageDamaged, match="was changed"):
        built_anew(plan, places)

    assert left_behind(places.work) == set()


@pytest.mark.parametrize(
    ("data", "start"),
    [(b"", BOOT_CODE), (b"", VOLUME_ID), (bytes(range(256)), BOOT_OFFSET)],
    ids=["boot code", "boot sector", "boot file"],
)
def test_a_byte_that_went_wrong_in_the_image_is_found(
    plan: ImagePlan, places: Places, data: bytes, start: int
) -> None:
    changed: list[Path] = []

    def change(phase: Phase, done: int, total: int, _unit: str) -> None:
        if phase is Phase.BUILD and done == total and not changed:
            changed.extend(places.work.glob("*/*.img.part"))
            change_in(changed[0], data, start)

    with pytest.raises(ImageDamaged, match="not that of its base"):
        build(plan, places, change)

    assert left_behind(places.work) == set()
    assert built_anew(plan, places)


def test_a_byte_that_went_wrong_on_the_way_into_the_image_is_found(
    plan: ImagePlan, places: Places, base: BaseImage
) -> None:
    first = build(plan, places, unseen).manifest_sha256
    *_, last = data_pieces(base, base_ranges(base, PARTS).root)
    place = last.place.offset
    seen: list[int] = []

    def change_meanwhile(phase: Phase, done: int, total: int, _unit: str) -> None:
        if phase is Phase.BUILD and done in ({0, total} - set(seen)):
            seen.append(done)
            change_in(base.image, b"", place)  # the second time it is as it was

    discard(places.work, plan.digest)
    with pytest.raises(ImageDamaged, match="not that of its base"):
        build(plan, places, change_meanwhile)

    assert len(seen) == 2
    assert built_anew(plan, places) == first


def test_what_no_card_gets_of_a_base_is_not_in_the_image_either(
    plan: ImagePlan, places: Places, base: BaseImage
) -> None:
    built = build(plan, places, unseen)
    image = sha256_of(built.image)
    change_unused(base)

    assert built_anew(plan, places) == built.manifest_sha256
    assert sha256_of(built.image) == image


def test_a_base_that_is_read_whole_is_damaged_wherever_it_was_changed(
    tmp_path: Path, base: BaseImage
) -> None:
    change_unused(base)

    with pytest.raises(ImageDamaged, match="was changed"):
        proven(base, tmp_path)

    assert not list(tmp_path.glob("*.json"))


def test_a_base_whose_name_looks_unfinished_keeps_its_proof(plan: ImagePlan, places: Places) -> None:
    for suffix in (".img", ".json", SBOM_SUFFIX):
        (places.bases / f"cardshop-amd64{suffix}").rename(places.bases / f"x.part{suffix}")
    build(replace(plan, base=replace(plan.base, name="x.part")), places, unseen)

    sweep(places.work)

    assert kept_in(places).name == "x.part.json"


def test_a_base_that_brings_documents_as_a_card_has_them_gets_others(
    plan: ImagePlan, places: Places, base: BaseImage
) -> None:
    for document in (MANIFEST_FILE, PASSPORT_FILE, FILES_FILE, "cardshop/recipe.json"):
        write_file(base.image, document, b"somebody else's", 1)
    manifest = replace(base.manifest, sha256=sha256_of(base.image))
    base.image.with_suffix(".json").write_text(manifest.to_json())
    plan = replace(plan, base=replace(plan.base, sha256=manifest.sha256))

    built = build(plan, places, unseen)

    assert Manifest.from_file(built.manifest).digest == plan.digest
    assert built_anew(plan, places) == built.manifest_sha256
