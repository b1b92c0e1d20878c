"""The base image around its system: when it is built again, from which sources, how its disk is laid out."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from cardshop.contract.errors import ProgramFailed
from cardshop.fit import BOOT_OFFSET
from cardshop.programs import run
from creator.base.disk import ROOT_OFFSET, make_disk, sha256_of
from creator.base.manifest import BaseManifest, is_current, name_of, recipe_digest
from creator.base.packages import ARCHITECTURES, Packages, packages_for, sources_from

EPOCH = 1_735_689_600
DEBIAN = Packages("bookworm", ("main", "non-free-firmware"), ())


def base_in(folder: Path, *, recipe: str) -> None:
    """An image of four bytes and its manifest."""
    name = name_of("amd64")
    (folder / f"{name}.img").write_bytes(b"disk")
    manifest = BaseManifest(
        name=name, architecture="amd64", release="bookworm", built="2026-01-01T00:00:00Z",
        bytes=4, sha256=sha256_of(folder / f"{name}.img"), boot_bytes=1, root_bytes=3, recipe=recipe,
    )  # fmt: skip
    (folder / f"{name}.json").write_text(manifest.to_json())


def recipe_in(folder: Path) -> Path:
    (folder / "files").mkdir(parents=True)
    (folder / "files/unit").write_text("one\n")
    (folder / "hook").write_text("two\n")
    return folder


def system_archive(folder: Path) -> Path:
    """A tree with a file for each partition and files that must not be kept."""
    tree = folder / "tree"
    texts = {
        "etc/hostname": "kiwix\n",
        "boot/vmlinuz-6.1": "kernel",
        "boot/firmware/vmlinuz": "kernel",
        "boot/firmware/loader/loader.conf": "timeout 0\n",
    }
    for name, text in texts.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tree / "dev").mkdir()
    archive = folder / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tree, ".")
    return archive


def disk_in(folder: Path, archive: Path) -> Path:
    folder.mkdir()
    scratch = folder / "scratch"
    scratch.mkdir()
    make_disk("cardshop-amd64", archive, folder / "base.img", scratch, epoch=EPOCH)
    return folder / "base.img"


def test_a_base_of_the_same_recipe_is_not_built_again(tmp_path: Path) -> None:
    base_in(tmp_path, recipe="abc")

    assert is_current(tmp_path, "amd64", "abc")


def test_a_base_of_another_recipe_is_built_again(tmp_path: Path) -> None:
    base_in(tmp_path, recipe="abc")

    assert not is_current(tmp_path, "amd64", "abd")


@pytest.mark.parametrize("damage", ["cut", "no image", "no record", "broken record"])
def test_a_base_that_is_not_whole_is_built_again(tmp_path: Path, damage: str) -> None:
    base_in(tmp_path, recipe="abc")
    image, record = tmp_path / "cardshop-amd64.img", tmp_path / "cardshop-amd64.json"

    if damage == "cut":
        image.write_bytes(b"dis")
    elif damage == "broken record":
        record.write_text("{")
    else:
        (image if damage == "no image" else record).unlink()

    assert not is_current(tmp_path, "amd64", "abc")


def test_the_manifest_holds_what_the_creator_reads(tmp_path: Path) -> None:
    base_in(tmp_path, recipe="abc")

    wire = json.loads((tmp_path / "cardshop-amd64.json").read_text())

    fields = {
        "version",
        "name",
        "architecture",
        "release",
        "built",
        "bytes",
        "sha256",
        "boot_bytes",
        "root_bytes",
    }
    assert fields <= wire.keys()
    assert wire["version"] == 1


@pytest.mark.parametrize("change", ["content", "name", "executable", "new file"])
def test_any_change_of_the_recipe_changes_its_digest(tmp_path: Path, change: str) -> None:
    folder = recipe_in(tmp_path / "recipe")
    before = recipe_digest("amd64", folder)

    if change == "content":
        (folder / "hook").write_text("twp\n")
    elif change == "name":
        (folder / "hook").rename(folder / "hooked")
    elif change == "executable":
        (folder / "hook").chmod(0o755)
    else:
        (folder / "files/other").write_text("")

    assert recipe_digest("amd64", folder) != before


def test_compiled_python_is_no_part_of_the_recipe(tmp_path: Path) -> None:
    folder = recipe_in(tmp_path / "recipe")
    before = recipe_digest("amd64", folder)

    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_bytes(b"x")

    assert recipe_digest("amd64", folder) == before
    assert recipe_digest("arm64", folder) != before


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_has_a_kernel_and_the_library_server(architecture: str) -> None:
    packages = packages_for(architecture)

    assert "kiwix-tools" in packages.names
    assert any(name.startswith("linux-image-") for name in packages.names)


def test_the_machines_mirrors_of_the_release_are_used_with_the_components_that_cards_need() -> None:
    targets = (
        "http://mirror.example/debian/\tbookworm\t/usr/share/keyrings/debian.gpg\n"
        "http://mirror.example/debian/\tbookworm\t/usr/share/keyrings/debian.gpg\n"
        "http://mirror.example/security/\tbookworm-security\t\n"
        "http://other.example/sdk\tsdk-bookworm\t\n"
        "http://mirror.example/debian/\ttrixie\t\n"
    )

    lines = sources_from(targets, DEBIAN)

    key, parts = "[signed-by=/usr/share/keyrings/debian.gpg]", "main non-free-firmware"
    assert lines == [
        f"deb {key} http://mirror.example/debian/ bookworm {parts}",
        f"deb http://mirror.example/security/ bookworm-security {parts}",
    ]


def test_a_machine_of_another_release_leaves_the_choice_of_the_mirror_to_mmdebstrap() -> None:
    assert sources_from("http://mirror.example/debian/\ttrixie\t\n", DEBIAN) == []


def test_the_disk_has_a_boot_and_a_root_partition_that_other_tools_read(tmp_path: Path) -> None:
    image = disk_in(tmp_path / "disk", system_archive(tmp_path))

    table = json.loads(run(["sfdisk", "--json", image], timeout=120).stdout)["partitiontable"]
    boot, root = table["partitions"]
    assert (table["label"], boot["type"], root["type"]) == ("dos", "c", "83")
    assert (boot["start"] * 512, root["start"] * 512) == (BOOT_OFFSET, ROOT_OFFSET)
    assert (root["start"] + root["size"]) * 512 == image.stat().st_size
    listed = run(["mdir", "-i", f"{image}@@{BOOT_OFFSET}", "-/", "-b", "::"], timeout=120).text.split()
    assert {"::/vmlinuz", "::/loader/loader.conf"} <= set(listed)
    shown = run(["debugfs", "-R", "cat /etc/hostname", f"{image}?offset={ROOT_OFFSET}"], timeout=120)
    assert shown.text == "kiwix\n"


def test_the_kernel_lies_on_the_boot_partition_only(tmp_path: Path) -> None:
    image = disk_in(tmp_path / "disk", system_archive(tmp_path))

    for folder in ("/boot", "/boot/firmware"):
        listed = run(["debugfs", "-R", f"ls {folder}", f"{image}?offset={ROOT_OFFSET}"], timeout=120).text
        assert "vmlinuz" not in listed


def test_the_same_system_gives_the_same_bytes(tmp_path: Path) -> None:
    archive = system_archive(tmp_path)

    first = disk_in(tmp_path / "first", archive)
    time.sleep(1.1)  # file systems of another second, which nothing may show
    second = disk_in(tmp_path / "second", archive)

    assert sha256_of(first) == sha256_of(second)


def test_nothing_is_left_of_a_disk_that_could_not_be_made(tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    archive.write_bytes(b"no archive")

    with pytest.raises(ProgramFailed):
        disk_in(tmp_path / "disk", archive)

    assert not (tmp_path / "disk/scratch/root").exists()
    assert not (tmp_path / "disk/base.img").exists()


def test_a_missing_tool_is_named_with_what_to_do(tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "creator.base",
        "--architecture",
        "amd64",
        "--output",
        str(tmp_path / "out"),
    ]

    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={"PATH": "/nowhere"}, timeout=120
    )

    assert done.returncode != 0
    assert "mmdebstrap" in done.stderr
