"""Factory of a stand-in for Offspot's base image: the same layout, next to nothing in it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, MIB
from cardshop.programs import run
from creator.offspot_base import take_in

NAME = "offspot-base-arm64-0.0.0"
ROOT_BYTES = 24 * MIB
DATA_BYTES = 256 * MIB
DISK_ID = 0x0FF5907A
BUNDLED = bytes(range(256)) * 64
"""What stands for the container image that Offspot's base brings."""

_ROOT_OFFSET = BOOT_OFFSET + BOOT_BYTES
_DATA_OFFSET = _ROOT_OFFSET + ROOT_BYTES
_EPOCH = 1767323045
_BOOT_CODE = b"\xfa"


def make_offspot_base(
    folder: Path, name: str = NAME, *, is_configured: bool = True, data_block_bytes: int = 4096
) -> Path:
    """Puts ``NAME.img`` and ``NAME.json`` into ``folder`` and returns the image.

    Boot (FAT32) has a command line and an ``offspot.yaml``, root a host name and an fstab that names the
    partitions by the disk's identity, data the mark ``master_fs`` and a container image, as Offspot's has.
    Without ``is_configured`` there is no ``offspot.yaml``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}.img"
    with image.open("wb") as file:
        file.truncate(_DATA_OFFSET + DATA_BYTES)
    sectors = (
        (BOOT_OFFSET, BOOT_BYTES, "c"),
        (_ROOT_OFFSET, ROOT_BYTES, "83"),
        (_DATA_OFFSET, DATA_BYTES, "83"),
    )
    table = [f"start={start // 512}, size={size // 512}, type={kind}" for start, size, kind in sectors]
    text = "\n".join(["label: dos", f"label-id: 0x{DISK_ID:08x}", *table])
    run(["sfdisk", "--quiet", image], stdin=text.encode(), timeout=120)
    with image.open("r+b") as file:
        file.write(_BOOT_CODE)  # without, parted gives the disk another identity when it changes the table
    _make_boot(image, is_configured)
    with tempfile.TemporaryDirectory() as scratch:
        root, data = Path(scratch) / "root", Path(scratch) / "data"
        (root / "etc").mkdir(parents=True)
        (root / "etc" / "hostname").write_text("offspot-base\n")
        (root / "etc" / "fstab").write_text(
            "".join(
                f"PARTUUID={DISK_ID:08x}-0{number}  {place}\n"
                for number, place in ((1, "/boot/firmware"), (2, "/"), (3, "/data"))
            )
        )
        (data / "images").mkdir(parents=True)
        (data / "master_fs").touch()
        (data / "images" / "base-httpd-1.0.tar").write_bytes(BUNDLED)
        _make_ext4(image, "rootfs", _ROOT_OFFSET, ROOT_BYTES, root, 4096)
        _make_ext4(image, "data", _DATA_OFFSET, DATA_BYTES, data, data_block_bytes)
    os.utime(image, (_EPOCH, _EPOCH))
    take_in(image, folder, name=name, architecture="arm64", release="bookworm")
    return image


def _make_boot(image: Path, is_configured: bool) -> None:
    drive = f"{image}@@{BOOT_OFFSET}"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "TZ": "UTC"}
    form = ["mformat", "-i", drive, "-F", "-c", "4", "-T", str(BOOT_BYTES // 512), "-h", "255", "-s", "63"]
    run([*form, "-N", "0badcafe", "-v", "bootfs", "::"], env=environment, timeout=120)
    files = {"cmdline.txt": f"root=PARTUUID={DISK_ID:08x}-02 quiet\n".encode()}
    if is_configured:
        files["offspot.yaml"] = b"hostname: offspot-base\n"
    for name, content in files.items():
        run(["mcopy", "-i", drive, "-", f"::{name}"], stdin=content, env=environment, timeout=120)


def _make_ext4(image: Path, label: str, offset: int, size: int, tree: Path, block_bytes: int) -> None:
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-T", "largefile", "-b", str(block_bytes), "-m", "1"]
    make += ["-L", label]
    make += ["-E", f"offset={offset},root_owner=0:0", "-d", str(tree), str(image), f"{size // 1024}k"]
    run(make, timeout=120, env={**os.environ, "E2FSPROGS_FAKE_TIME": str(_EPOCH)})
