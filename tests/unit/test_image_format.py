from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.contract.tasks import BaseReference
from cardshop.image_format import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    BlockMap,
    Chunk,
    ContentEntry,
    Manifest,
    Range,
    filled_up,
    merge,
)

SUM = hashlib.sha256(b"").hexdigest()
CHUNKS = (
    Chunk(0, CHUNK_BYTES, SUM),
    Chunk(CHUNK_BYTES, BLOCK_BYTES, SUM),
    Chunk(10 * CHUNK_BYTES, BLOCK_BYTES, SUM),
)
MANIFEST = Manifest(
    digest="ab" * 32,
    bytes=100 * CHUNK_BYTES,
    mapped_bytes=CHUNK_BYTES + 2 * BLOCK_BYTES,
    chunks=CHUNKS,
    contents=(ContentEntry("a:b:c", "été.zim", 12, SUM),),
    base=BaseReference("cardshop-amd64", SUM),
)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "m.json"

    MANIFEST.to_file(path)

    assert Manifest.from_file(path) == MANIFEST


OWN = Range(20 * CHUNK_BYTES + BLOCK_BYTES, CHUNK_BYTES)
"""It crosses a multiple of CHUNK_BYTES."""


def with_own(**changes: Any) -> Manifest:
    manifest = replace(MANIFEST, own=OWN, mapped_bytes=MANIFEST.mapped_bytes + OWN.length, **changes)
    return manifest.with_own_chunks(manifest.to_bytes())


def test_the_checksums_of_a_manifests_own_place_follow_from_its_bytes() -> None:
    document = with_own().to_bytes()

    manifest = Manifest.from_bytes(document, "m.json")

    place = bytearray(40 * CHUNK_BYTES)
    place[OWN.offset : OWN.end] = filled_up(document, OWN.length)
    added = [chunk for chunk in manifest.chunks if chunk not in CHUNKS]
    assert [(chunk.offset, chunk.length) for chunk in added] == [
        (OWN.offset, CHUNK_BYTES - BLOCK_BYTES),
        (21 * CHUNK_BYTES, BLOCK_BYTES),
    ]
    for chunk in added:
        assert hashlib.sha256(place[chunk.offset : chunk.end]).hexdigest() == chunk.sha256
    assert manifest == with_own()
    assert manifest.to_bytes() == document


@pytest.mark.parametrize(
    "own",
    [
        Range(20 * CHUNK_BYTES, BLOCK_BYTES // 4),  # shorter than the document
        Range(20 * CHUNK_BYTES, 2**40),
        Range(BLOCK_BYTES, CHUNK_BYTES),  # another chunk is there
        Range(100 * CHUNK_BYTES, CHUNK_BYTES),  # behind the image's end
    ],
)
def test_a_place_that_a_manifest_can_t_have_is_refused(own: Range) -> None:
    document = replace(with_own(), own=own).to_bytes()

    with pytest.raises(ImageDamaged):
        Manifest.from_bytes(document, "m.json")


def test_the_passports_place_is_a_chunk_of_its_own() -> None:
    good = replace(MANIFEST, passport=Range(10 * CHUNK_BYTES, BLOCK_BYTES))
    wrong = replace(MANIFEST, passport=Range(0, BLOCK_BYTES))

    assert Manifest.from_bytes(good.to_bytes(), "m.json") == good
    with pytest.raises(ImageDamaged, match="no chunk"):
        Manifest.from_bytes(wrong.to_bytes(), "m.json")


def test_neighbouring_chunks_are_one_mapped_range() -> None:
    assert MANIFEST.ranges() == (
        Range(0, CHUNK_BYTES + BLOCK_BYTES),
        Range(10 * CHUNK_BYTES, BLOCK_BYTES),
    )


def test_merge_takes_ranges_in_any_order_and_drops_empty_ones() -> None:
    assert merge([Range(8, 4), Range(0, 2), Range(9, 1), Range(20, 0), Range(2, 3)]) == (
        Range(0, 5),
        Range(8, 4),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("digest", "../../etc/passwd"),
        ("bytes", CHUNK_BYTES),
        ("mapped_bytes", 1),
        ("chunks", [{"offset": 1, "length": BLOCK_BYTES, "sha256": SUM}]),
        ("chunks", [{"offset": 0, "length": 2 * CHUNK_BYTES, "sha256": SUM}]),
        ("chunks", [{"offset": 0, "length": 0, "sha256": SUM}]),
        ("chunks", [{"offset": -BLOCK_BYTES, "length": BLOCK_BYTES, "sha256": SUM}]),
        ("chunks", [{"offset": 0, "length": BLOCK_BYTES, "sha256": "no checksum"}]),
        ("chunks", [{"offset": 0, "length": BLOCK_BYTES, "sha256": SUM}] * 2),
        ("chunks", "all"),
        ("block_bytes", 0),
        ("chunk_bytes", 0),
    ],
)
def test_a_manifest_that_no_image_can_have_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "m.json"
    MANIFEST.to_file(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    with pytest.raises(ImageDamaged):
        Manifest.from_file(path)


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(b"\xff\xfe{")

    with pytest.raises(ImageDamaged, match="no JSON document"):
        Manifest.from_file(path)


def test_a_block_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, block_map = tmp_path / "i.bmap", BlockMap(MANIFEST.bytes, CHUNKS)

    block_map.to_file(path)

    assert BlockMap.from_file(path) == block_map


def test_a_changed_block_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i.bmap"
    BlockMap(MANIFEST.bytes, CHUNKS).to_file(path)
    path.write_text(path.read_text().replace("10240-10240", "10241-10241"))

    with pytest.raises(ImageDamaged, match="checksum"):
        BlockMap.from_file(path)


def test_a_block_map_whose_ranges_overlap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i.bmap"
    BlockMap(MANIFEST.bytes, (CHUNKS[0], replace(CHUNKS[1], offset=BLOCK_BYTES))).to_file(path)

    with pytest.raises(ImageDamaged, match="piece"):
        BlockMap.from_file(path)


def test_a_block_map_of_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i.bmap"
    path.write_bytes(b"\xff\xfe<bmap/>")

    with pytest.raises(ImageDamaged, match="no block map"):
        BlockMap.from_file(path)


@pytest.mark.parametrize(
    "text",
    ["", "<bmap/>", '<!DOCTYPE b [<!ENTITY e "x">]><bmap><ImageSize>&e;</ImageSize></bmap>'],
)
def test_a_file_that_is_no_block_map_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "i.bmap"
    path.write_text(text)

    with pytest.raises(ImageDamaged, match="no block map"):
        BlockMap.from_file(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"block_bytes": 1, "chunk_bytes": 1},
        {"chunk_bytes": 2**40},
        {"passport": Range(0, 2**40)},
        {"passport": Range(-BLOCK_BYTES, BLOCK_BYTES)},
        {"files": Range(1, BLOCK_BYTES)},
    ],
)
def test_a_manifest_that_would_take_memory_without_end_is_refused(changes: dict[str, Any]) -> None:
    document = replace(with_own(), **changes).to_bytes()

    with pytest.raises(ImageDamaged):
        Manifest.from_bytes(document, "m.json")


def test_a_manifest_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ImageDamaged):
        Manifest.from_bytes(b"[" * 100_000, "m.json")
