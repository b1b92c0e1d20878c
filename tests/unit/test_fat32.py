"""The FAT32 reader beside mtools and fsck.vfat, which made and check what it reads."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.fat32 import Fat32, Read
from cardshop.image_format import merge
from cardshop.programs import run

MIB = 1024 * 1024
OFFSET = 3 * MIB + 512
SIZE = 300 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(OFFSET + SIZE)
    form = ["mformat", "-i", f"{path}@@{OFFSET}", "-F", "-c", "8", "-T", str(SIZE // 512)]
    run([*form, "-h", "255", "-s", "63", "::"], timeout=120)
    return path


@pytest.fixture
def read(disk: Path) -> Iterator[Read]:
    descriptor = os.open(disk, os.O_RDONLY)
    yield lambda offset, length: os.pread(descriptor, length, offset)
    os.close(descriptor)


def put(disk: Path, path: str, content: bytes) -> None:
    run(["mcopy", "-D", "o", "-i", f"{disk}@@{OFFSET}", "-", f"::{path}"], stdin=content, timeout=120)


def test_files_are_found_with_their_names_and_their_bytes(disk: Path, read: Read) -> None:
    run(
        ["mmd", "-i", f"{disk}@@{OFFSET}", "::/A folder with a long name", "::/lower", "::/UPPER"],
        timeout=120,
    )
    contents = {
        "readme.txt": b"short, in small letters",
        "A folder with a long name/Bibliothèque d'été.zim": os.urandom(10_000),
        "lower/kernel8.img": os.urandom(4096),
        "UPPER/EMPTY": b"",
    }
    for path, content in contents.items():
        put(disk, f"/{path}", content)
    put(disk, "/gone.txt", b"gone")
    run(["mdel", "-i", f"{disk}@@{OFFSET}", "::/gone.txt"], timeout=120)

    system = Fat32(read, OFFSET)

    found = {file.path: system.content(file) for file in system.files() if not file.is_folder}
    assert found == contents
    folders = {file.path for file in system.files() if file.is_folder}
    assert folders == {"", "A folder with a long name", "lower", "UPPER"}
    assert system.find("README.TXT") is not None
    assert system.find("gone.txt") is None


def test_a_file_in_pieces_has_its_ranges_in_its_own_order(disk: Path, read: Read) -> None:
    for number in range(6):
        put(disk, f"/{number}", bytes([number]) * 4096)
    for number in (1, 3):
        run(["mdel", "-i", f"{disk}@@{OFFSET}", f"::/{number}"], timeout=120)
    with disk.open("r+b") as file_system:
        file_system.seek(OFFSET + 512 + 492)  # FSInfo: where the next free cluster is looked for
        file_system.write((2).to_bytes(4, "little"))
    content = os.urandom(5 * 4096 - 7)
    put(disk, "/split", content)

    system = Fat32(read, OFFSET)

    file = system.find("split")
    assert file is not None
    assert len(file.ranges) > 1
    assert system.content(file) == content
    used = merge(system.used_ranges())
    for item in file.ranges:
        assert any(part.offset <= item.offset and item.end <= part.end for part in used)


def test_a_chain_of_clusters_that_leads_in_a_circle_ends(disk: Path, read: Read) -> None:
    put(disk, "/long", bytes(20 * 4096))
    first = next(file for file in Fat32(read, OFFSET).files() if file.path == "long").ranges[0]
    assert first.length == 20 * 4096
    head = read(OFFSET, 512)
    fat_offset = OFFSET + int.from_bytes(head[14:16], "little") * 512
    with disk.open("r+b") as file:
        file.seek(fat_offset + (3 + 19) * 4)
        file.write((3).to_bytes(4, "little"))

    found = Fat32(read, OFFSET).find("long")

    assert found is not None
    assert sum(item.length for item in found.ranges) == 20 * 4096


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, bytes(4096)])
def test_what_is_no_fat32_file_system_is_refused(content: bytes) -> None:
    with pytest.raises(ImageDamaged, match="no FAT32"):
        Fat32(lambda offset, length: content[offset : offset + length], 0)


def test_a_folder_that_holds_itself_is_read_once(disk: Path, read: Read) -> None:
    run(["mmd", "-i", f"{disk}@@{OFFSET}", "::/loop", "::/loop/inner"], timeout=120)
    loop = Fat32(read, OFFSET)
    first = next(file for file in loop.files() if file.path == "loop").ranges[0]
    listing = bytearray(read(first.offset, first.length))
    entry = listing.index(b"INNER") // 32 * 32
    listing[entry + 26 : entry + 28] = listing[26:28]  # its first cluster is that of "."
    with disk.open("r+b") as file:
        file.seek(first.offset)
        file.write(listing)

    assert [file.path for file in Fat32(read, OFFSET).files()] == ["", "loop", "loop/inner"]


def test_whatever_the_file_system_says_little_is_read_to_find_a_file(disk: Path, read: Read) -> None:
    for number in range(40):
        put(disk, f"/file{number}", b"content")
    source = random.Random(32)  # noqa: S311 - test data
    content = bytearray(read(OFFSET, SIZE))
    used = next(iter(Fat32(read, OFFSET).used_ranges())).length + 64 * 1024
    for _round in range(60):
        damaged = bytearray(content[:used])
        for _ in range(source.choice([1, 10, 1000])):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        amount = 0

        def counting(offset: int, length: int, damaged: bytes = bytes(damaged)) -> bytes:
            nonlocal amount
            amount += length
            return damaged[offset - OFFSET :][:length].ljust(min(length, 2**20), b"\0")

        with contextlib.suppress(ImageDamaged):
            Fat32(counting, OFFSET).find("no such file")
        assert amount < 100 * MIB


def test_a_head_that_lies_is_refused_or_read_without_end(disk: Path, read: Read) -> None:
    head = bytearray(read(OFFSET, 512))
    for place in range(11, 64):
        for value in (0, 1, 0x80, 0xFF):
            forged = bytes((*head[:place], value, *head[place + 1 :]))

            def lying(offset: int, length: int, forged: bytes = forged) -> bytes:
                return forged if (offset, length) == (OFFSET, 512) else read(offset, length)

            try:
                assert len(list(Fat32(lying, OFFSET).files())) < 100
            except ImageDamaged:
                continue


def test_a_disk_that_is_larger_than_its_table_is_refused_before_memory_is_taken(read: Read) -> None:
    head = bytearray(read(OFFSET, 512))
    head[35] ^= 0x80  # the highest bit of the number of sectors
    asked = []

    def flipped(offset: int, length: int) -> bytes:
        asked.append(length)
        return bytes(head) if offset == OFFSET else read(offset, length)

    with pytest.raises(ImageDamaged, match="larger than its table"):
        Fat32(flipped, OFFSET)
    assert asked == [512]


def test_folders_that_lead_in_circles_are_looked_into_once(disk: Path, read: Read) -> None:
    run(["mmd", "-i", f"{disk}@@{OFFSET}", "::/one", "::/two"], timeout=120)
    root = next(file for file in Fat32(read, OFFSET).files() if file.path == "").ranges[0]
    listing = bytearray(read(root.offset, root.length))
    for place in range(0, len(listing), 32):
        if listing[place + 11] == 0x10:  # a folder: it leads to the root now
            listing[place + 20 : place + 22], listing[place + 26 : place + 28] = b"\0\0", b"\2\0"
    with disk.open("r+b") as file:
        file.seek(root.offset)
        file.write(listing)

    assert sorted(file.path for file in Fat32(read, OFFSET).files()) == ["", "one", "two"]
