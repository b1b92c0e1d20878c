"""Takes an Offspot base image in: checks its layout and writes the manifest that makes it one of ours.

``python -m creator.offspot_base offspot-base-arm64-1.3.0.img --architecture arm64 --output var/bases`` puts
the image beside its manifest in the folder of base images; an admin then registers the manifest at the
scheduler (``POST /v1/bases``), as for a base of Cardshop's own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from cardshop.contract.errors import CardshopError, ImageDamaged, InvalidInput
from cardshop.fit import ALIGNMENT, BLOCK_BYTES, BOOT_BYTES, BOOT_OFFSET
from cardshop.programs import run
from creator.base.manifest import BaseManifest
from creator.image.base_data import data_offset, read_tree
from creator.image.tree import File

SYSTEM = "offspot"
"""What the manifest says of the base: whose recipes it knows."""

_SECTOR_BYTES = 512
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m creator.offspot_base", description=summary)
    parser.add_argument("image", type=Path, help="an Offspot base image, unpacked (.img)")
    parser.add_argument("--name", help="the base's name in the shop (default: the file's)")
    parser.add_argument("--architecture", default="arm64", help="default: %(default)s")
    parser.add_argument(
        "--release", default="bookworm", help="the Debian release in it (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, required=True, help="the creator's folder of base images")
    arguments = parser.parse_args(words)
    try:
        manifest = take_in(
            arguments.image,
            arguments.output,
            name=arguments.name or arguments.image.stem,
            architecture=arguments.architecture,
            release=arguments.release,
        )
    except CardshopError as error:
        sys.stderr.write(f"{error.sentence} {error.hint}\n")
        return error.exit_status
    sys.stdout.write(f"{manifest}\n")
    return 0


def take_in(image: Path, output: Path, *, name: str, architecture: str, release: str) -> Path:
    """Puts the base image and its manifest into ``output``; returns the manifest's path.

    Raises:
        InvalidInput: a name that can't be, or no such file.
        ImageDamaged: it is not laid out as an Offspot base is.
    """
    if not name or not set(name) <= _NAME_CHARACTERS:
        raise InvalidInput(
            f"{name!r} is no name for a base.", hint="Small letters, digits, . and -.", field="--name"
        )
    if not image.is_file():
        raise InvalidInput(f"There is no file {image}.", field="image")
    root_bytes = _root_bytes(image)
    output.mkdir(parents=True, exist_ok=True)
    final = output / f"{name}.img"
    if not (final.exists() and final.samefile(image)):
        run(["cp", "--sparse=always", "--reflink=auto", image, final], timeout=3600)
    with final.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    manifest = BaseManifest(
        name=name,
        architecture=architecture,
        release=release,
        built=datetime.fromtimestamp(int(image.stat().st_mtime), UTC).isoformat().replace("+00:00", "Z"),
        bytes=final.stat().st_size,
        sha256=sha256,
        boot_bytes=BOOT_BYTES,
        root_bytes=root_bytes,
        recipe="",
    )
    path = output / f"{name}.json"
    path.write_text(
        json.dumps({**asdict(manifest), "system": SYSTEM, "data_bytes": _data_bytes(final)}, indent=1) + "\n"
    )
    return path


def _data_bytes(image: Path) -> int:
    """What the files on its data partition take on a card."""
    with tempfile.TemporaryDirectory() as scratch:
        files = read_tree(image, data_offset(image) or 0, Path(scratch) / "data")
        return sum(
            -(-file.size_bytes // BLOCK_BYTES) * BLOCK_BYTES for file in files if isinstance(file, File)
        )


def _root_bytes(image: Path) -> int:
    """The size of the root partition, when boot, root and data lie where they must."""
    table = json.loads(run(["sfdisk", "--json", image], timeout=60).text)["partitiontable"]
    parts = [
        (part["start"] * _SECTOR_BYTES, part["size"] * _SECTOR_BYTES) for part in table.get("partitions", ())
    ]
    if table.get("label") != "dos" or len(parts) != 3:
        raise ImageDamaged(f"{image.name} has no three partitions: it is no Offspot base.")
    (boot_offset, boot_bytes), (root_offset, root_bytes), (data_offset, _) = parts
    if (boot_offset, boot_bytes, root_offset) != (BOOT_OFFSET, BOOT_BYTES, BOOT_OFFSET + BOOT_BYTES):
        raise ImageDamaged(
            f"The boot partition of {image.name} is not where Cardshop can use it.",
            hint="512 MiB at 8 MiB, then root, as Offspot has it.",
        )
    if data_offset % ALIGNMENT or data_offset < root_offset + root_bytes:
        raise ImageDamaged(f"The data partition of {image.name} is not aligned to 4 MiB.")
    return int(root_bytes)


if __name__ == "__main__":
    sys.exit(main())
