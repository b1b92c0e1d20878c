"""The disk image: partition table, boot partition (FAT32) and root partition (ext4), without mounts."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.fit import ALIGNMENT, BOOT_BYTES, BOOT_OFFSET, MIB
from cardshop.programs import run
from creator.base.root_file_system import as_root

ROOT_OFFSET = BOOT_OFFSET + BOOT_BYTES
HEADROOM = 200 * MIB
"""Free space of the root file system, for what a card writes in its life."""

BOOT_LABEL = "CARDSHOP"
ROOT_LABEL = "cardshop-root"
FAT32_LBA, LINUX = "c", "83"
NAMESPACE = uuid.UUID("6f1c1d0e-6a0c-5f0e-9a53-0c6f2a1f7e55")
"""Of the identifiers that are made from a base image's name: the same name, the same bytes."""


@dataclass(frozen=True)
class Layout:
    """Sizes of a made disk image, in bytes."""

    image_bytes: int
    boot_bytes: int
    root_bytes: int


def make_disk(name: str, archive: Path, image: Path, scratch: Path, *, epoch: int) -> Layout:
    """Writes the disk image of a root file system.

    Args:
        name: the base image's name; identifiers of disk and file systems come from it.
        archive: tar file of the tree; what it has under /boot/firmware becomes the boot partition.
        image: made anew, sparse.
        scratch: an empty folder, room for the unpacked tree in it.
        epoch: the time that the file systems carry, in seconds since 1970.

    Raises:
        ProgramFailed: a tool is missing or refused.
    """
    tree, boot = scratch / "root", scratch / "boot"
    tree.mkdir()
    boot.mkdir()
    try:
        unpack_system(archive, tree)
        unpack = ["tar", "--strip-components=3", "--no-same-owner", "-xf"]
        run([*unpack, archive, "-C", boot, "./boot/firmware"], timeout=600)

        root_bytes = root_size(tree)
        layout = Layout(ROOT_OFFSET + root_bytes, BOOT_BYTES, root_bytes)
        image.unlink(missing_ok=True)
        with image.open("xb") as file:
            file.truncate(layout.image_bytes)
        write_partition_table(name, image, root_bytes)
        write_boot_partition(name, image, boot, epoch=epoch)
        write_root_partition(name, image, tree, root_bytes, epoch=epoch)
    finally:
        run(as_root(["rm", "-rf", tree]), timeout=600)  # an ordinary user can't: others own parts of it
    return layout


def unpack_system(archive: Path, tree: Path) -> None:
    """The root partition's files; kernel and RAM disk lie on the boot partition and are not kept twice."""
    left_out = ("./dev/*", "./boot/firmware/*", "./boot/vmlinuz-*", "./boot/initrd.img-*")
    unpack = ["tar", *(f"--exclude={pattern}" for pattern in left_out), "-xpf"]
    run(as_root([*unpack, archive, "-C", tree]), timeout=600)


def root_size(tree: Path) -> int:
    """Bytes of the root partition: blocks and inodes of the tree, ext4's own share, and the headroom."""
    blocks = int(run(as_root(["du", "-s", "--block-size=1", tree]), timeout=600).text.split()[0])
    needed = blocks + blocks // 20 + 64 * MIB + HEADROOM
    return -(-needed // ALIGNMENT) * ALIGNMENT


def write_partition_table(name: str, image: Path, root_bytes: int) -> None:
    """An MBR with the two partitions; the first one is what a Raspberry Pi and UEFI firmware start from."""
    disk_id = uuid.uuid5(NAMESPACE, f"{name}/disk").hex[:8]
    table = [
        "label: dos",
        f"label-id: 0x{disk_id}",
        f"start={BOOT_OFFSET // 512}, size={BOOT_BYTES // 512}, type={FAT32_LBA}, bootable",
        f"start={ROOT_OFFSET // 512}, size={root_bytes // 512}, type={LINUX}",
    ]
    write: list[str | Path] = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image]
    run(write, timeout=60, stdin="\n".join(table).encode())


def write_boot_partition(name: str, image: Path, folder: Path, *, epoch: int) -> None:
    """The FAT32 file system with the files of ``folder``."""
    serial = uuid.uuid5(NAMESPACE, f"{name}/boot").hex[:8]
    environment = dict(os.environ) | {"SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC"}
    target = f"{image}@@{BOOT_OFFSET}"
    sectors = str(BOOT_BYTES // 512)
    form = ["mformat", "-i", target, "-F", "-c", "8", "-T", sectors, "-h", "255", "-s", "63", "-N", serial]
    form += ["-H", str(BOOT_OFFSET // 512), "-v", BOOT_LABEL, "::"]
    run(form, timeout=60, env=environment)
    for path in sorted(folder.rglob("*")):
        os.utime(path, (epoch, epoch))
    if entries := sorted(folder.iterdir()):
        run(["mcopy", "-i", target, "-s", "-m", "-Q", *entries, "::"], timeout=600, env=environment)


def write_root_partition(name: str, image: Path, tree: Path, root_bytes: int, *, epoch: int) -> None:
    """The ext4 file system with the files of ``tree``, and a check of it."""
    environment = dict(os.environ) | {"SOURCE_DATE_EPOCH": str(epoch), "E2FSPROGS_FAKE_TIME": str(epoch)}
    hash_seed = uuid.uuid5(NAMESPACE, f"{name}/hash")
    extended = f"offset={ROOT_OFFSET},nodiscard,hash_seed={hash_seed},root_owner=0:0"
    make: list[str | Path] = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", ROOT_LABEL]
    make += ["-U", str(uuid.uuid5(NAMESPACE, f"{name}/root")), "-E", extended, "-d", tree]
    run(as_root([*make, image, f"{root_bytes // 1024}k"]), timeout=1800, env=environment)
    forget_unpacking(image, epoch=epoch)
    run(["e2fsck", "-fn", f"{image}?offset={ROOT_OFFSET}"], timeout=600)


def forget_unpacking(image: Path, *, epoch: int) -> None:
    """Sets the times of reading and of change of all files: mke2fs takes them from the unpacked tree.

    Raises:
        ProgramFailed: debugfs did not do as told (its exit status never says so).
    """
    system = f"{image}?offset={ROOT_OFFSET}"
    environment = dict(os.environ) | {"E2FSPROGS_FAKE_TIME": str(epoch)}
    head = run(["dumpe2fs", "-h", system], timeout=60).text
    counts = dict(re.findall(r"^(Inode count|Free inodes):\s+(\d+)$", head, re.MULTILINE))
    last = int(counts["Inode count"]) - int(counts["Free inodes"])  # a fresh file system has no gaps
    inodes = (2, *range(11, last + 1))
    commands = "".join(f"sif <{inode}> {time} @{epoch}\n" for inode in inodes for time in ("atime", "ctime"))
    done = run(["debugfs", "-w", "-f", "-", system], timeout=600, stdin=commands.encode(), env=environment)
    complaints = done.error_text.splitlines()[1:]  # the first line is its version
    if complaints:
        raise ProgramFailed("debugfs could not set the times of files.", hint=complaints[0])


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
