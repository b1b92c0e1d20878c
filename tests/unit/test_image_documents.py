"""What a card is checked by lies in the image: its manifest, and the place of the passport."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.card_documents import FoundManifest, manifest_on
from cardshop.contract.events import Phase
from cardshop.fit import BOOT_OFFSET
from cardshop.image_format import BLOCK_BYTES, Manifest
from cardshop.programs import run
from creator.build import build
from creator.plan import BuiltImage
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltImage]:
    zim = make_zim(tmp_path / "a.zim", "A", articles=5).read_bytes()
    places = make_places(tmp_path)
    with serve_mirror() as mirror:
        yield build(make_plan(places, make_content(mirror, "a.zim", zim)), places, unseen)


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def test_the_manifest_lies_on_the_boot_partition_and_its_own_place_is_mapped(built: BuiltImage) -> None:
    read = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/cardshop/manifest.json"], timeout=120)
    assert read.stdout.strip() == built.manifest.read_bytes().strip()
    manifest = Manifest.from_file(built.manifest)
    with built.image.open("rb", buffering=0) as image:
        found = manifest_on(lambda offset, length: os.pread(image.fileno(), length, offset))
    assert found == FoundManifest(manifest, built.manifest.read_bytes())
    assert manifest.own is not None
    own = [chunk for chunk in manifest.chunks if manifest.own.offset <= chunk.offset < manifest.own.end]
    assert sum(chunk.length for chunk in own) == manifest.own.length
    listed = json.loads(built.manifest.read_bytes())["chunks"]
    assert len(listed) == len(manifest.chunks) - len(own)
    boot = [item for item in manifest.ranges() if item.offset <= manifest.own.offset < item.end]
    assert len(boot) == 1, "no hole is left around it"


def test_the_passport_has_one_block_of_its_own_that_tells_what_it_is_for(built: BuiltImage) -> None:
    place = Manifest.from_file(built.manifest).passport
    assert place is not None
    assert place.length == BLOCK_BYTES
    assert place.offset % BLOCK_BYTES == 0
    with built.image.open("r+b") as image:
        image.seek(place.offset)
        assert "there is no passport" in json.loads(image.read(place.length))["note"]
        image.seek(place.offset)
        image.write(b'{"statement": "any"}'.ljust(place.length))
    read = run(["mtype", "-i", f"{built.image}@@{BOOT_OFFSET}", "::/cardshop/passport.json"], timeout=120)
    assert json.loads(read.stdout) == {"statement": "any"}
