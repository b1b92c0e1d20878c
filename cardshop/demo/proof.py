"""Proof of a written card by other people's tools: nothing of Cardshop's own code looks at it here."""

from __future__ import annotations

import base64
import json
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.programs import run

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Partition:
    """One line of the card's partition table, as sfdisk reads it."""

    offset: int  # bytes
    size: int  # bytes


@dataclass(frozen=True)
class CardProof:
    """What was found out about one card."""

    slot: str
    sha256_ok: bool  # every range of the block map has its checksum, but for the passport's block
    passport_ok: bool  # that block holds the order's passport, signed by the shop
    zims_ok: bool  # every ZIM read out of the card is the catalogue's file
    fsck_ok: bool  # both ext4 and the FAT file system are clean
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """All of it holds."""
        return self.sha256_ok and self.passport_ok and self.zims_ok and self.fsck_ok


def prove_card(
    slot: str, card: Path, block_map: Path, zims: Mapping[str, Path], *, order: int, keys: Mapping[str, str]
) -> CardProof:
    """Reads the card at ``card``.

    Args:
        slot: its slot, for the report.
        card: a virtual card's file or a block device.
        block_map: the bmap of the image that should be on it; the manifest lies beside it.
        zims: by file name on the card, the file that it must equal.
        order: the order's number.
        keys: the shop's public keys (PEM) by their ids.
    """
    partitions = partition_table(card)
    with tempfile.TemporaryDirectory(dir=card.parent.parent) as scratch:
        work = Path(scratch)
        place = json.loads(block_map.with_suffix(".json").read_bytes())["passport"]
        ranges = _problems_of_ranges(card, block_map, place["offset"], work)
        passport = _problems_of_passport(card, block_map.with_suffix(".json"), order, keys, work)
        contents = _problems_of_zims(card, partitions[2], zims, work)
    systems = _problems_of_file_systems(card, partitions)
    problems = (*ranges, *passport, *contents, *systems)
    return CardProof(slot, not ranges, not passport, not contents, not systems, problems)


def partition_table(card: Path) -> list[Partition]:
    """The three partitions: boot, root, data. Raises ProgramFailed when sfdisk finds others."""
    table = json.loads(run(["sfdisk", "--json", card], timeout=30).text)["partitiontable"]
    partitions = [
        Partition(entry["start"] * SECTOR_BYTES, entry["size"] * SECTOR_BYTES)
        for entry in table["partitions"]
    ]
    if len(partitions) != 3:
        raise ProgramFailed(f"The card has {len(partitions)} partitions instead of 3.")
    return partitions


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file by openssl (several times faster than coreutils' sha256sum)."""
    return run(["openssl", "dgst", "-sha256", "-r", path], timeout=3600).text.split()[0]


def _problems_of_ranges(card: Path, block_map: Path, passport: int, work: Path) -> list[str]:
    problems = []
    document = ET.parse(block_map).getroot()  # noqa: S314 - the file comes from our own warehouse
    block_bytes = int(document.findtext("BlockSize", "0"))
    for entry in document.iterfind("BlockMap/Range"):
        first, _, last = (entry.text or "").strip().partition("-")
        offset = int(first) * block_bytes
        length = (int(last or first) - int(first) + 1) * block_bytes
        piece = work / "range"
        _read_range(card, offset, length, piece)
        if (offset, length) == (passport, block_bytes):
            continue  # its own on each card
        if sha256_of(piece) != entry.get("chksum"):
            problems.append(f"The range at byte {offset} has another checksum than the block map says.")
    if not document.findall("BlockMap/Range"):
        problems.append("The block map names no range.")
    return problems


def _problems_of_passport(
    card: Path, manifest: Path, order: int, keys: Mapping[str, str], work: Path
) -> list[str]:
    place = json.loads(manifest.read_bytes())["passport"]
    block = work / "passport"
    _read_range(card, place["offset"], place["length"], block)
    try:
        passport = json.loads(block.read_bytes())
        statement, signature = passport["statement"].encode(), base64.b64decode(passport["signature"])
        (work / "key").write_text(keys[passport["key"]])
    except (ValueError, KeyError):
        return ["The card has no passport."]
    (work / "statement").write_bytes(statement)
    (work / "signature").write_bytes(signature)
    verify: list[str | Path] = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", work / "key"]
    words = [*verify, "-in", work / "statement", "-sigfile", work / "signature"]
    problems = []
    if run(words, timeout=30, allowed=range(256)).status != 0:
        problems.append("openssl refuses the passport's signature.")
    stated = {f"order {order}", f"image {manifest.stem}", f"manifest {sha256_of(manifest)}"}
    if missing := stated - set(statement.decode().splitlines()):
        problems.append(f"The passport doesn't say: {', '.join(sorted(missing))}.")
    return problems


def _read_range(card: Path, offset: int, length: int, target: Path) -> None:
    # iflag=direct: from the medium, not from the page cache.
    flags = "skip_bytes,count_bytes,direct"
    run(
        ["dd", f"if={card}", f"of={target}", "bs=4M", f"skip={offset}", f"count={length}", f"iflag={flags}"],
        timeout=3600,
    )


def _problems_of_zims(card: Path, data: Partition, zims: Mapping[str, Path], work: Path) -> list[str]:
    problems = []
    for name, original in zims.items():
        copy = work / name
        # debugfs always ends with status 0: what counts is the file that it wrote.
        run(
            ["debugfs", "-R", f'dump "/contents/{name}" "{copy}"', f"{card}?offset={data.offset}"],
            timeout=3600,
        )
        if not copy.exists() or sha256_of(copy) != sha256_of(original):
            problems.append(f"{name} on the card is not the catalogue's file.")
            continue
        checked = run(["zimcheck", "-C", copy], timeout=3600, allowed=range(256))
        if checked.status != 0:
            problems.append(f"zimcheck refuses {name}: {checked.text.strip().splitlines()[-1]}")
        copy.unlink()
    return problems


def _problems_of_file_systems(card: Path, partitions: list[Partition]) -> list[str]:
    boot, root, data = partitions
    checks: list[tuple[str, list[str | Path]]] = [
        ("boot", ["mdir", "-i", f"{card}@@{boot.offset}", "-b", "-s", "::/"]),
        ("boot", ["mtype", "-i", f"{card}@@{boot.offset}", "::/cardshop/recipe.json"]),
        ("root", ["e2fsck", "-fn", f"{card}?offset={root.offset}"]),
        ("data", ["e2fsck", "-fn", f"{card}?offset={data.offset}"]),
    ]
    problems = []
    for partition, argv in checks:
        done = run(argv, timeout=3600, allowed=range(256))
        if done.status != 0:
            problems.append(f"{argv[0]} refuses the {partition} partition: {done.error_text.strip()}")
    return problems
