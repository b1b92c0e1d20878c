"""Offspot's own ``image-creator``, run beside ours: the same YAML, the same base, contents in its cache.

It is fetched and installed outside this repository by whoever runs the comparison::

    python3 -m venv PEER && PEER/bin/pip install FOLDER-OF-ITS-SOURCE      # needs parted, qemu-utils, aria2
    IMAGE_CREATOR=PEER/bin/image-creator

It mounts a FAT and reads a partition table with the kernel. For kernels that know neither, it gets what they
lack in a mount namespace of its own, which no other process sees: a ``mount.vfat`` that hands the boot
partition to ``fusefat`` (a FAT for FUSE: Debian's package of that name), and a ``losetup`` that tells the
kernel of the partitions after it has attached an image.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cardshop.fit import ALIGNMENT, BOOT_BYTES, BOOT_OFFSET, MIB
from cardshop.programs import find, run
from creator.offspot_base import take_in

VARIABLE = "IMAGE_CREATOR"
DATA_BYTES = 256 * MIB
"""Size of the data partition that Offspot's base brings."""

_MOUNT_VFAT = """#!/bin/sh
# mount(8) calls this: DEVICE FOLDER [-o OPTIONS]
exec fusefat -o rw+ "$1" "$2" >/dev/null 2>&1
"""
_LOSETUP = """#!/bin/sh
# As losetup; the kernel is told of the partitions, which it may not read itself.
{losetup} "$@" || exit
case "$1" in
  --partscan) partx --add "$2" 2>/dev/null || true ;;
esac
"""
_ETAG = "bench"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Source:
    """A file that a YAML names by address: what is served, and what is in the cache."""

    name: str
    file: Path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the folder's files can be had."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def end_headers(self) -> None:
            self.send_header("ETag", f'"{_ETAG}"')
            super().end_headers()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with suppress(ConnectionError):  # whoever asked has seen the headers
                super().copyfile(source, outputfile)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it overrides
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stand_in_base(own: Path, folder: Path, name: str) -> Path:
    """A base laid out as Offspot's from one of Cardshop's own: a data partition joins boot and root.

    Offspot's own base can't be had on every machine; its root file system makes no difference here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}.img"
    run(["cp", "--sparse=always", own, image], timeout=600)
    data_offset = -(-image.stat().st_size // ALIGNMENT) * ALIGNMENT
    root_offset = BOOT_OFFSET + BOOT_BYTES
    sectors = [
        (BOOT_OFFSET, BOOT_BYTES, "c"),
        (root_offset, own.stat().st_size - root_offset, "83"),
        (data_offset, DATA_BYTES, "83"),
    ]
    with image.open("r+b") as file:
        file.truncate(data_offset + DATA_BYTES)
    table = [f"start={start // 512}, size={size // 512}, type={kind}" for start, size, kind in sectors]
    text = "\n".join(["label: dos", "label-id: 0x0ff5907a", *table])
    run(["sfdisk", "--quiet", "--wipe", "never", image], stdin=text.encode(), timeout=60)
    tree = folder / "data-tree"
    (tree / "images").mkdir(parents=True)
    (tree / "master_fs").touch()
    try:
        make: list[str | Path] = [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-T",
            "largefile",
            "-m",
            "1",
            "-L",
            "data",
        ]
        make += ["-d", tree, "-E", f"offset={data_offset}", image, f"{DATA_BYTES // 1024}k"]
        run(make, timeout=60)
    finally:
        shutil.rmtree(tree)
    take_in(image, folder, name=name, architecture="arm64", release="bookworm")
    return image


def put_into_cache(cache: Path, address: str, sources: Sequence[Source]) -> None:
    """Leaves the files in image-creator's cache as its own earlier run would have: linked, not copied."""
    host = address.removeprefix("http://")
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    for source in sources:
        kept = cache / "files" / "http" / host / source.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.hardlink_to(source.file)
        facts = {
            "added_on": now,
            "last_checked_on": now,
            "last_used_on": now,
            "nb_used": "0",
            "source": f"file:{address}/{source.name}",
            "digest": _ETAG,
        }
        for fact, value in facts.items():
            os.setxattr(kept, f"user.{fact}", value.encode())


def create(
    program: Path, yaml: Path, output: Path, cache: Path | None, log: Path, timeout: float | None = None
) -> float:
    """Runs image-creator and syncs what it wrote; the seconds that it took.

    Raises:
        subprocess.CalledProcessError: it failed; ``log`` says why.
        subprocess.TimeoutExpired: it didn't end in ``timeout`` seconds.
    """
    helpers = output.parent / "helpers"
    helpers.mkdir(exist_ok=True)
    losetup = find("losetup")
    sbin = Path(losetup).resolve().parent
    real = helpers / "losetup.real"
    shutil.copy2(losetup, real)
    for name, text in (("mount.vfat", _MOUNT_VFAT), ("losetup", _LOSETUP.format(losetup=real))):
        (helpers / name).write_text(text)
        (helpers / name).chmod(0o755)
    build = output.parent / "build"
    build.mkdir(exist_ok=True)
    cached = ["--cache-dir", cache] if cache else []
    argv = [program, "--build-dir", build, "--overwrite", *cached, yaml, output]
    inside = f'mount -t overlay overlay -o "lowerdir={helpers}:{sbin}" "{sbin}" && exec "$@"'
    begun = time.monotonic()
    try:
        with log.open("wb") as stream:
            _run([find("unshare"), "--mount", "sh", "-c", inside, "sh", *map(str, argv)], stream, timeout)
        os.sync()
        return time.monotonic() - begun
    finally:
        shutil.rmtree(helpers)
        shutil.rmtree(build, ignore_errors=True)


def _run(argv: Sequence[str], log: BinaryIO, timeout: float | None) -> None:
    process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
    try:
        status = process.wait(timeout)
    except BaseException:
        process.send_signal(signal.SIGINT)  # it gives its loop device back
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    if status:
        raise subprocess.CalledProcessError(status, argv)


def sha256_of(file: Path) -> str:
    """Of the file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
