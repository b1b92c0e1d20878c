"""Builds a base image: ``python -m creator.base --architecture amd64 --output FOLDER``."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from cardshop.contract.errors import CardshopError
from cardshop.image_format import SBOM_SUFFIX
from cardshop.logs import set_up
from cardshop.programs import find
from creator.base.bill import base_bill, packages_in
from creator.base.disk import make_disk, sha256_of
from creator.base.manifest import BaseManifest, is_current, name_of, recipe_digest
from creator.base.packages import ARCHITECTURES, packages_for
from creator.base.root_file_system import make_root_file_system

TOOLS = ("mmdebstrap", "apt-get", "tar", "sfdisk", "mke2fs", "e2fsck", "mformat", "mcopy")
EPOCH = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
"""The time that made files carry, always the same, so that the same packages give the same bytes."""


def main() -> int:
    """Builds the base image unless it is there; the exit status is 0 when it is in the folder."""
    arguments = parser().parse_args()
    set_up("creator.base", "WARNING")
    try:
        build(arguments.architecture, arguments.output)
    except CardshopError as error:
        sys.stderr.write(f"{error.sentence}\n{error.hint}\n")
        return error.exit_status
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m creator.base",
        description="Builds the base image that cards of an architecture start from, out of Debian packages.",
        epilog="Takes 1-2 minutes for this machine's own architecture, several times that for another (it is "
        "emulated), and about 3 GB of temporary space in FOLDER. Called again, it returns at once while the "
        "recipe (package list, hooks, the card's files) is the same; remove the .json for newer packages.",
    )
    made.add_argument(
        "--architecture", choices=ARCHITECTURES, required=True,
        help="arm64 for a Raspberry Pi 3, 4 or Zero 2; amd64 to try cards in a virtual machine",
    )  # fmt: skip
    made.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER",
        help="where cardshop-ARCHITECTURE.img, .json and .cdx.json (packages) appear, each whole or not",
    )  # fmt: skip
    return made


def build(architecture: str, folder: Path) -> None:
    """Makes the base image and its manifest in ``folder``.

    Raises:
        ProgramFailed: a tool is missing or failed.
    """
    name, recipe = name_of(architecture), recipe_digest(architecture)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second builder waits, and finds the first one's work
        if is_current(folder, architecture, recipe):
            say(f"{name} is there and its recipe is unchanged")
            return
        for tool in TOOLS:
            find(tool)
        build_anew(architecture, folder, recipe)


def build_anew(architecture: str, folder: Path, recipe: str) -> None:
    """Makes the base image and its manifest, in place of those that may be there.

    Raises:
        ProgramFailed: a tool failed.
    """
    name = name_of(architecture)
    begun = time.monotonic()
    packages = packages_for(architecture)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as made:
        scratch = Path(made)
        archive, image = scratch / "root.tar", scratch / f"{name}.img"
        say(f"{name}: installing Debian packages")
        make_root_file_system(architecture, archive, epoch=EPOCH)
        say(f"{name}: making the disk image ({time.monotonic() - begun:.0f} s so far)")
        layout = make_disk(name, archive, image, scratch, epoch=EPOCH)
        sha256, sbom = sha256_of(image), scratch / f"{name}{SBOM_SUFFIX}"
        sbom.write_bytes(base_bill(name, packages.release, sha256, packages_in(archive), EPOCH))
        manifest = BaseManifest(
            name=name,
            architecture=architecture,
            release=packages.release,
            built=datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            bytes=layout.image_bytes,
            sha256=sha256,
            boot_bytes=layout.boot_bytes,
            root_bytes=layout.root_bytes,
            recipe=recipe,
            sbom_sha256=sha256_of(sbom),
        )
        record = scratch / f"{name}.json"
        record.write_text(manifest.to_json())
        (folder / record.name).unlink(missing_ok=True)  # an old record must never stand beside a new image
        image.replace(folder / image.name)
        sbom.replace(folder / sbom.name)
        record.replace(folder / record.name)
    size, seconds = layout.image_bytes / 1e6, time.monotonic() - begun
    say(f"{name}: {size:.0f} MB in {folder}, {seconds:.0f} s")


def say(what: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
