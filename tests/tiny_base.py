"""Factory of a base image that is laid out like a real one and holds next to nothing."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, MIB
from cardshop.image_format import SBOM_SUFFIX
from cardshop.programs import run
from creator.base.bill import Package, base_bill
from creator.base.manifest import BaseManifest

BUILT = "2026-01-02T03:04:05Z"
ROOT_BYTES = 24 * MIB
PACKAGES = (Package("hostname", "3.23+nmu1", "amd64", "hostname", "3.23+nmu1"),)
_EPOCH = 1767323045


def make_tiny_base(folder: Path, name: str = "cardshop-amd64") -> Path:
    """Puts ``NAME.img``, ``NAME.json`` and the list of its packages into ``folder`` and returns ``folder``.

    Its boot partition has two files, its root file system two. It is made once for all tests of
    a run, in about a second; each gets its own copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = _made_once(name)
    for file in (f"{name}.img", f"{name}{SBOM_SUFFIX}", f"{name}.json"):
        run(["cp", "--sparse=always", made / file, folder / file], timeout=120)
    return folder


@functools.cache
def _made_once(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-base-"))
    atexit.register(shutil.rmtree, folder)
    image = folder / f"{name}.img"
    root_offset = BOOT_OFFSET + BOOT_BYTES
    with image.open("wb") as file:
        file.truncate(root_offset + ROOT_BYTES)
    table = (
        f"label: dos\nlabel-id: 0x00c0ffee\nstart={BOOT_OFFSET // 512}, size={BOOT_BYTES // 512}, type=c\n"
    )
    table += f"start={root_offset // 512}, size={ROOT_BYTES // 512}, type=83\n"
    run(["sfdisk", "--quiet", image], stdin=table.encode(), timeout=120)
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(_EPOCH),
        "E2FSPROGS_FAKE_TIME": str(_EPOCH),
        "TZ": "UTC",
    }
    drive = f"{image}@@{BOOT_OFFSET}"
    form = ["mformat", "-i", drive, "-F", "-c", "8", "-T", str(BOOT_BYTES // 512), "-h", "255", "-s", "63"]
    run([*form, "-N", "0badcafe", "-v", "CARDSHOP", "::"], env=environment, timeout=120)
    for file_name, content in (
        ("cmdline.txt", b"root=LABEL=cardshop-root\n"),
        ("vmlinuz", bytes(range(256)) * 999),
    ):
        run(["mcopy", "-i", drive, "-", f"::{file_name}"], stdin=content, env=environment, timeout=120)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        (tree / "etc").mkdir()
        (tree / "etc" / "hostname").write_text("cardshop\n")
        (tree / "etc" / "filler").write_bytes(b"root file system " * 50_000)
        options = (
            f"offset={root_offset},nodiscard,root_owner=0:0,hash_seed=00000000-0000-4000-8000-000000000001"
        )
        make = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", "cardshop-root", "-E", options]
        make += [
            "-U",
            "00000000-0000-4000-8000-000000000002",
            "-d",
            str(tree),
            str(image),
            f"{ROOT_BYTES // 1024}k",
        ]
        run(make, env=environment, timeout=120)
    with image.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    sbom = base_bill(name, "bookworm", sha256, PACKAGES, _EPOCH)
    (folder / f"{name}{SBOM_SUFFIX}").write_bytes(sbom)
    manifest = BaseManifest(
        name=name,
        architecture=name.rpartition("-")[2],
        release="bookworm",
        built=BUILT,
        bytes=image.stat().st_size,
        sha256=sha256,
        boot_bytes=BOOT_BYTES,
        root_bytes=ROOT_BYTES,
        recipe=hashlib.sha256(b"tiny").hexdigest(),
        sbom_sha256=hashlib.sha256(sbom).hexdigest(),
    )
    (folder / f"{name}.json").write_text(manifest.to_json())
    return folder
