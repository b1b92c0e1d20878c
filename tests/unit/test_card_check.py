"""A card is checked offline: whose it is, whether it is whole, and which file is broken.

Which file a byte belongs to, debugfs and mshowfat say here: none of Cardshop's own code.
"""

from __future__ import annotations

import errno
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cardshop.card_check import Verdict, check_card
from cardshop.contract.errors import ImageDamaged
from cardshop.contract.passports import CardStatement
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, Layout, layout
from cardshop.image_format import CHUNK_BYTES, Manifest
from cardshop.open_card import opened_card
from cardshop.programs import run
from creator.plan import BuiltImage
from tests.cards import loop_device, mounted, need_loop_devices
from tests.image_plans import IMAGE_BYTES
from tests.tiny_base import ROOT_BYTES
from tests.written_cards import ANOTHER, SHOP, Written, build_zim_image, write_image

FLIPS = 250
BLOCK = 4096
PARTS: Layout = layout(IMAGE_BYTES, ROOT_BYTES)
BOOT = "/boot/firmware"
DOCUMENTS = {f"{BOOT}/cardshop/{name}.json" for name in ("manifest", "files", "passport")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    return build_zim_image(tmp_path_factory.mktemp("image"), "One")


@pytest.fixture
def card(tmp_path: Path, image: BuiltImage) -> Written:
    return write_image(tmp_path / "card", image, SHOP)


def test_a_card_as_it_was_written_is_good(card: Written) -> None:
    finding = card.check()

    assert (finding.verdict, finding.broken, finding.wrong_bytes) == (Verdict.GOOD, (), 0)
    assert finding.card
    assert (finding.card.order, finding.card.unit, finding.card.units) == (12, 3, 40)


@pytest.mark.slow
def test_all_of_many_flipped_bits_are_found_and_named_with_the_right_file(card: Written) -> None:
    source = random.Random(250)  # noqa: S311 - test data
    blocks = [place for chunk in card.manifest.chunks for place in range(chunk.offset, chunk.end, BLOCK)]
    places = [source.choice(blocks) + source.randrange(BLOCK) for _ in range(FLIPS)]
    places += [place for name in DOCUMENTS for place in few_places(source, card, name)]
    expected = Oracle(card.path).names(places)
    named: dict[int, set[str]] = {}

    for place in places:
        bit = source.randrange(8)
        card.flip(place, bit)
        finding = card.check()
        card.flip(place, bit)
        assert finding.verdict in (Verdict.DAMAGED, Verdict.NOT_GENUINE), place
        named[place] = set(finding.broken)
        if "not among the known ones" in finding.why:  # the bit was in the name of the key
            named[place].add(f"{BOOT}/cardshop/passport.json")

    assert {place: found for place, found in named.items() if found != {expected[place]}} == {}
    kinds = {expected[place].split("/")[1] for place in places if expected[place].startswith("/")}
    assert kinds >= {"boot", "etc", "data"}
    assert card.check().verdict is Verdict.GOOD


def few_places(source: random.Random, card: Written, name: str) -> Iterator[int]:
    manifest = card.manifest
    place = {"manifest": manifest.own, "files": manifest.files, "passport": manifest.passport}[
        Path(name).stem
    ]
    assert place
    for _ in range(15):
        yield place.offset + source.randrange(place.length)
    yield from (place.offset + start for start in (0, 30, 200))


def test_a_card_of_another_shop_is_not_genuine_and_its_damage_is_told(
    tmp_path: Path, image: BuiltImage
) -> None:
    theirs = write_image(tmp_path / "card", image, ANOTHER)

    finding = theirs.check()

    assert (finding.verdict, finding.broken) == (Verdict.NOT_GENUINE, ())
    assert "not among the known ones" in finding.why
    theirs.flip(PARTS.data_offset + 1024 + 200, 0)
    assert theirs.check().broken == ("(structure of the data partition)",)


def test_a_signature_of_a_key_with_the_shops_name_is_not_genuine(tmp_path: Path, image: BuiltImage) -> None:
    finding = write_image(tmp_path / "card", image, replace(ANOTHER, name="shop")).check()

    assert finding.verdict is Verdict.NOT_GENUINE
    assert "forged" in finding.why


def test_a_passport_that_was_copied_onto_another_image_is_caught(tmp_path: Path, image: BuiltImage) -> None:
    other = build_zim_image(tmp_path, "Two")
    manifest = Manifest.from_file(image.manifest)
    stated = CardStatement(12, 3, 40, "task-1", 1, manifest.digest, image.manifest_sha256)

    forged = write_image(tmp_path / "card", other, SHOP, passport=SHOP.sign(stated.to_statement()))

    finding = forged.check()
    assert finding.verdict is Verdict.NOT_GENUINE
    assert "another image" in finding.why


def test_a_file_that_was_exchanged_together_with_its_checksum_is_caught(card: Written) -> None:
    place = next(chunk for chunk in card.manifest.chunks if chunk.offset > PARTS.data_offset)
    card.flip(place.offset, 0)
    chunks = tuple(
        replace(chunk, sha256="0" * 64) if chunk == place else chunk for chunk in card.manifest.chunks
    )
    forged = replace(card.manifest, chunks=chunks).to_bytes()
    assert card.manifest.own
    with card.path.open("r+b") as file:
        file.seek(card.manifest.own.offset)
        file.write(forged.ljust(card.manifest.own.length, b"\n"))

    finding = card.check()

    assert finding.verdict is Verdict.DAMAGED
    assert finding.broken == (f"{BOOT}/cardshop/manifest.json",)


def test_an_image_that_no_writer_wrote_has_no_passport(tmp_path: Path, image: BuiltImage) -> None:
    card = Written(image.image, Manifest.from_file(image.manifest), SHOP.public(tmp_path))

    finding = card.check()

    assert finding.verdict is Verdict.NOT_GENUINE
    assert "no passport" in finding.why
    assert finding.broken == (f"{BOOT}/cardshop/passport.json",)


def test_a_card_that_was_started_is_used_while_its_contents_are_whole(card: Written) -> None:
    commands = (
        b"ssv mnt_count 1\nssv mtime 20260102030405\nrm /etc/hostname\nwrite /etc/hosts /etc/hostname\n"
    )
    run(["debugfs", "-w", "-f", "-", f"{card.path}?offset={PARTS.root_offset}"], stdin=commands, timeout=120)

    assert card.check().verdict is Verdict.USED

    place = next(item for item in card.manifest.chunks if item.offset > PARTS.data_offset + 80 * BLOCK)
    card.flip(place.offset + 5, 1)
    assert card.check().verdict is Verdict.DAMAGED


def test_a_device_answers_itself_and_not_from_what_was_read_of_it_before(card: Written) -> None:
    need_loop_devices()
    place = next(item for item in card.manifest.chunks if item.offset > PARTS.data_offset + 80 * BLOCK)
    with loop_device(card.path) as device:
        seen = Written(device, card.manifest, card.keys)
        assert seen.check().verdict is Verdict.GOOD

        card.flip(place.offset, 2)

        assert seen.check().verdict is Verdict.DAMAGED


def test_a_card_whose_system_linux_mounted_and_wrote_to_is_used(card: Written, tmp_path: Path) -> None:
    need_loop_devices()
    part = ("--offset", str(PARTS.root_offset), "--sizelimit", str(ROOT_BYTES))
    with loop_device(card.path, *part) as device, mounted(device, tmp_path / "system") as system:
        (system / "etc" / "hostname").write_text("library\n")
        (system / "var").mkdir()

    finding = card.check()

    assert finding.verdict is Verdict.USED, finding
    assert finding.broken
    assert not [path for path in finding.broken if path.startswith((f"{BOOT}/", "/data/"))]


def test_a_sector_that_can_t_be_read_is_damage_of_its_file(card: Written) -> None:
    large = max(card.manifest.contents, key=lambda content: content.bytes)
    whole = next(item for item in reversed(card.manifest.chunks) if item.length == CHUNK_BYTES)
    bad = whole.offset + BLOCK

    with opened_card(card.path) as opened:

        def read(offset: int, length: int) -> bytes:
            if offset <= bad < offset + length:
                raise OSError(errno.EIO, "Input/output error")
            return opened.read(offset, length)

        finding = check_card(read, card.keys, lambda _done, _total: None)

    assert (finding.verdict, finding.broken) == (Verdict.DAMAGED, (f"/data/contents/{large.file}",))


def test_a_card_that_ends_too_early_is_damaged(card: Written) -> None:
    os.truncate(card.path, IMAGE_BYTES - BLOCK)

    assert card.check().verdict is Verdict.DAMAGED


def test_a_boot_partition_whose_file_system_is_gone_still_tells_its_manifest(card: Written) -> None:
    with card.path.open("r+b") as file:
        file.seek(BOOT_OFFSET)
        file.write(bytes(64 * 1024))

    finding = card.check()

    assert (finding.verdict, finding.broken) == (Verdict.DAMAGED, ("(structure of the boot partition)",))


@pytest.mark.parametrize("size", [0, 600 * 1024 * 1024])
def test_what_is_no_card_of_any_shop_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "blank"
    with path.open("wb") as file:
        file.truncate(size)

    with pytest.raises(ImageDamaged, match="no manifest"):
        Written(path, None, SHOP.public(tmp_path)).check()  # type: ignore[arg-type]


class Oracle:
    """Says by other people's tools what lies at a byte of a card."""

    def __init__(self, card: Path) -> None:
        self._card = card
        self._boot = dict(self._clusters())

    def names(self, places: list[int]) -> dict[int, str]:
        named = {place: self._in_boot(place) for place in places if place < BOOT_OFFSET + BOOT_BYTES}
        for area, offset, mount in (("system", PARTS.root_offset, ""), ("data", PARTS.data_offset, "/data")):
            end = offset + (ROOT_BYTES if area == "system" else PARTS.data_bytes)
            inside = {place: (place - offset) // BLOCK for place in places if offset <= place < end}
            inodes = self._inodes(offset, sorted(set(inside.values())))
            paths = self._paths(offset, sorted(set(inodes.values())))
            for place, block in inside.items():
                path = paths.get(inodes.get(block, 0))
                named[place] = f"{mount}{path}" if path else f"(structure of the {area} partition)"
        return named

    def _in_boot(self, place: int) -> str:
        if place < BOOT_OFFSET:
            return "(partition table and the space before the boot partition)"
        return self._boot.get((place - self._data_offset()) // BLOCK + 2, "(structure of the boot partition)")

    def _data_offset(self) -> int:
        with self._card.open("rb") as file:
            file.seek(BOOT_OFFSET)
            head = file.read(512)
        sectors = int.from_bytes(head[14:16], "little") + head[16] * int.from_bytes(head[36:40], "little")
        return BOOT_OFFSET + sectors * 512

    def _clusters(self) -> Iterator[tuple[int, str]]:
        drive = f"{self._card}@@{BOOT_OFFSET}"
        for path in run(["mdir", "-/", "-a", "-b", "-i", drive, "::"], timeout=120).text.split():
            shown = run(["mshowfat", "-i", drive, path], timeout=120).text
            for first, last in re.findall(r"<(\d+)(?:-(\d+))?>", shown):
                for cluster in range(int(first), int(last or first) + 1):
                    yield cluster, BOOT + path.removeprefix("::")

    def _inodes(self, offset: int, blocks: list[int]) -> dict[int, int]:
        words = f"icheck {' '.join(map(str, blocks))}"
        text = run(["debugfs", "-R", words, f"{self._card}?offset={offset}"], timeout=120).text
        return {int(block): int(inode) for block, inode in re.findall(r"^(\d+)\t(\d+)$", text, re.MULTILINE)}

    def _paths(self, offset: int, inodes: list[int]) -> dict[int, str]:
        found = {}
        for inode in inodes:
            if inode in (7, 8):  # room for more groups; the journal
                continue
            if inode == 2:
                found[inode] = "/"
                continue
            text = run(
                ["debugfs", "-R", f"ncheck -c {inode}", f"{self._card}?offset={offset}"], timeout=120
            ).text
            path = text.splitlines()[1].split("\t")[1]
            kind = run(
                ["debugfs", "-R", f"stat <{inode}>", f"{self._card}?offset={offset}"], timeout=120
            ).text
            found[inode] = path.replace("//", "/") + ("/" if "Type: directory" in kind else "")
        return found
