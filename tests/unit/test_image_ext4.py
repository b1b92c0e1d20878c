from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged
from cardshop.fit import ALIGNMENT, MIB, layout
from cardshop.image_format import merge
from cardshop.programs import run
from creator.image.copying import copied_meanwhile
from creator.image.data_partition import lay_out, make_file_system
from creator.image.ext4 import ROOT_INODE, Ext4
from creator.image.proof import check_file_systems, find_files, read_files
from creator.image.tree import File, Tree

GIB = 1024 * MIB
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def make_data_image(folder: Path, image_bytes: int) -> tuple[Path, int]:
    image, parts = folder / "i.img", layout(image_bytes, ALIGNMENT)
    with image.open("wb") as file:
        file.truncate(image_bytes)
    make_file_system(image, parts, "5a" * 32, 1_700_000_000)
    return image, parts.data_offset


def tree_of(path: str, source: Path) -> Tree:
    tree = Tree()
    tree.add(File(path, source, "", "a content"), "a content")
    return tree


def fill(image: Path, offset: int, tree: Tree) -> None:
    with copied_meanwhile(image, lay_out(image, offset, tree, 1), lambda _count: None):
        pass


def read_back(image: Path, offset: int, path: str) -> str:
    [(_, sha256)] = read_files(image, find_files(image, offset, [path]), lambda _count: None)
    return sha256


def fsck(image: Path, offset: int) -> None:
    run(["e2fsck", "-f", "-n", f"{image}?offset={offset}"], timeout=120)


def test_a_file_over_two_gib_is_read_back_whole(tmp_path: Path) -> None:
    source = tmp_path / "large.zim"
    with source.open("wb") as file:
        file.write(b"first")
        file.seek(2 * GIB)
        file.write(b"beyond the first two GiB")
        file.truncate(2 * GIB + 4097)
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    image, offset = make_data_image(tmp_path, 4 * GIB)

    fill(image, offset, tree_of("/contents/large.zim", source))

    fsck(image, offset)
    assert read_back(image, offset, "/contents/large.zim") == sha256


@pytest.mark.parametrize(
    "name",
    [
        "plain.zim",
        "with a space.zim",
        "Bibliothèque d'été.zim",
        'a "quoted" one.zim',
        "книга 図書.zim",
        "x" * 251 + ".zim",
    ],
)
def test_any_file_name_is_kept_and_read_back(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(name.encode() * 1000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    image, offset = make_data_image(tmp_path, 640 * MIB)

    fill(image, offset, tree_of(f"/contents/{name}", source))

    fsck(image, offset)
    assert read_back(image, offset, f"/contents/{name}") == digest


def test_a_folder_grows_for_many_long_names(tmp_path: Path) -> None:
    image, offset = make_data_image(tmp_path, 640 * MIB)
    names = [f"{number:04}" + "n" * 240 for number in range(60)]

    with Ext4(image, offset, now=1) as system:
        folder = system.make_folder(ROOT_INODE, "contents")
        for name in names:
            system.allocate(folder, name, 1)

    fsck(image, offset)
    listed = run(["debugfs", "-R", "ls -p /contents", f"{image}?offset={offset}"], timeout=120).text
    assert [line.split("/")[5] for line in listed.splitlines() if "nnn" in line] == names


def test_an_empty_file_needs_no_blocks(tmp_path: Path) -> None:
    image, offset = make_data_image(tmp_path, 640 * MIB)

    with Ext4(image, offset, now=1) as system:
        folder = system.make_folder(ROOT_INODE, "contents")
        assert system.allocate(folder, "empty", 0) == ()

    fsck(image, offset)
    assert read_back(image, offset, "/contents/empty") == EMPTY_SHA256


def test_what_is_in_use_and_what_is_free_are_the_whole_partition(tmp_path: Path) -> None:
    image, offset = make_data_image(tmp_path, 2 * GIB)
    with Ext4(image, offset, now=1) as system:
        file_ranges = system.allocate(ROOT_INODE, "f", 300 * MIB)

    with Ext4(image, offset) as system:
        used = tuple(system.used_ranges())
        free = system.free_bytes

    assert sum(item.length for item in used) + free == 2 * GIB - offset
    assert merge([*used, *file_ranges]) == used


def test_a_missing_content_is_told(tmp_path: Path) -> None:
    image, offset = make_data_image(tmp_path, 640 * MIB)

    with pytest.raises(ImageDamaged, match=r"gone\.zim can't be read"):
        read_back(image, offset, "/contents/gone.zim")


def test_a_file_system_that_is_none_is_told(tmp_path: Path) -> None:
    image = tmp_path / "i.img"
    image.write_bytes(os.urandom(MIB))

    with pytest.raises(ImageDamaged, match="ext2fs_open2"):
        Ext4(image, 0)


def test_a_damaged_file_system_fails_the_check(tmp_path: Path) -> None:
    image, offset = make_data_image(tmp_path, 640 * MIB)
    with image.open("r+b") as file:
        file.seek(offset + 4096)
        file.write(b"\xff" * 4096)  # group descriptors

    with pytest.raises(ImageDamaged, match="not clean"):
        check_file_systems(image, layout(640 * MIB, ALIGNMENT), None)
