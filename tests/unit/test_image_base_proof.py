"""What a creator keeps of a base image that it has read whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.contract.events import Phase
from cardshop.fit import BOOT_OFFSET, MIB, Layout, layout
from cardshop.image_format import Chunk
from creator.base.disk import sha256_of
from creator.build import PROOFS, build
from creator.image.base_image import BaseImage, open_base
from creator.image.base_proof import BaseProof, base_ranges, check_pieces, keep_proof, kept_proof, prove_base
from creator.image.block_map import checksum
from creator.plan import ImagePlan, Places
from creator.work_folder import discard
from tests.image_plans import IMAGE_BYTES, change_in, left_behind, make_content, make_places, make_plan
from tests.mirror import Mirror, serve_mirror
from tests.tiny_base import ROOT_BYTES
from tests.zims import make_zim

PARTS: Layout = layout(IMAGE_BYTES, ROOT_BYTES)
BOOT_CODE = 300
"""A place in the first sector: boot code, which stays what the base has."""


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
    behind = max(item.end for item in base_ranges(base, PARTS) if item.end < PARTS.data_offset - MIB)
    change_in(base.image, b"", behind)


def built_anew(plan: ImagePlan, places: Places) -> str:
    discard(places.work, plan.digest)
    return build(plan, places, unseen).manifest_sha256


def proven(base: BaseImage) -> BaseProof:
    return prove_base(base, PARTS, base_ranges(base, PARTS))


def test_the_proof_has_the_pieces_that_the_base_has(base: BaseImage) -> None:
    ranges = base_ranges(base, PARTS)

    proof = prove_base(base, PARTS, ranges)

    assert proof.sha256 == base.manifest.sha256
    assert proof.chunks == checksum(base.image, ranges, lambda _count: None)
    assert {"/etc/hostname", "/etc/filler"} <= {part.path for part in proof.system}


def test_what_is_kept_comes_back_for_the_same_base_only(tmp_path: Path, base: BaseImage) -> None:
    ranges = base_ranges(base, PARTS)
    proof = prove_base(base, PARTS, ranges)
    other = replace(base, manifest=replace(base.manifest, sha256="0" * 64))

    keep_proof(tmp_path / "kept", base, proof)

    assert kept_proof(tmp_path / "kept", base, ranges) == proof
    assert kept_proof(tmp_path / "kept", base, ranges[:-1]) is None
    assert kept_proof(tmp_path / "kept", other, ranges) is None
    assert kept_proof(tmp_path / "elsewhere", base, ranges) is None


@pytest.mark.parametrize("document", ["", "{", "[]", '{"version": 1}', "\x00"])
def test_a_kept_proof_that_is_broken_is_made_anew(plan: ImagePlan, places: Places, document: str) -> None:
    first = build(plan, places, unseen).manifest_sha256
    [kept] = (places.work / PROOFS).glob("*.json")
    before = kept.read_text()
    kept.write_text(document)

    assert built_anew(plan, places) == first
    assert kept.read_text() == before


@pytest.mark.parametrize(
    ("data", "start"),
    [(b"", BOOT_CODE), (bytes(range(256)), BOOT_OFFSET), (b"root file system", PARTS.root_offset)],
    ids=["boot code", "boot partition", "system"],
)
def test_a_base_that_was_damaged_after_its_proof_is_found_in_every_part(
    plan: ImagePlan, places: Places, base: BaseImage, data: bytes, start: int
) -> None:
    build(plan, places, unseen)
    change_in(base.image, data, start)

    with pytest.raises(ImageDamaged, match="was changed"):
        built_anew(plan, places)

    assert left_behind(places.work) == set()
    assert not list((places.work / PROOFS).glob("*.json"))


def test_what_no_card_gets_of_a_base_is_not_in_the_image_either(
    plan: ImagePlan, places: Places, base: BaseImage
) -> None:
    built = build(plan, places, unseen)
    image = sha256_of(built.image)
    change_unused(base)

    assert built_anew(plan, places) == built.manifest_sha256
    assert sha256_of(built.image) == image


def test_a_base_that_is_read_whole_is_damaged_wherever_it_was_changed(base: BaseImage) -> None:
    change_unused(base)

    with pytest.raises(ImageDamaged, match="was changed"):
        proven(base)


def test_an_image_that_did_not_get_the_bases_bytes_is_told(base: BaseImage) -> None:
    proof = proven(base)
    wrong = Chunk(proof.chunks[-1].offset, proof.chunks[-1].length, "0" * 64)

    check_pieces(base, PARTS, proof, proof.chunks)
    with pytest.raises(ImageDamaged, match="not that of its base"):
        check_pieces(base, PARTS, proof, (*proof.chunks[:-1], wrong))
    with pytest.raises(ImageDamaged, match="not that of its base"):
        check_pieces(base, PARTS, proof, proof.chunks[:-1])
