"""How long an image takes from contents in the cache to checked, beside ways to copy: ``make bench-creator``.

The same contents (ZIM files of some GiB) become a checked image of ours, SHA-256 of every content and of the
whole block map included, on the real amd64 base; and are copied by ``cp`` and synced, copied into a
loop-mounted ext4, and put into an ext4 by ``mke2fs -d``. Each is done with the contents in the page cache
(warm) and without (cold). Ours runs in a process of its own, whose peak memory is told. The loop mount needs
root.

Prints a table and writes ``var/bench/creator.json``; ratio is ours / theirs, lower is better.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import ALIGNMENT, forecast
from cardshop.programs import find
from creator.build import build
from creator.mirrors import Web
from creator.plan import ImagePlan, Places
from tests.zims import make_zim

RESULTS = Path("var/bench/creator.json").absolute()
BASES = Path("var/bases").absolute()
BASE = "cardshop-amd64"
GIB = 1024**3
STUFFING_BYTES = 256 * 1024 * 1024
MEMORY_LIMIT_MB = 200

say = Console(stderr=True).print


@dataclass(frozen=True)
class Bench:
    """Where the work is done and with which content."""

    folder: Path
    content: Content

    @property
    def file(self) -> Path:
        """The content in the cache."""
        return self.folder / "cache" / self.content.sha256


class _Stuffing(Mapping[str, bytes]):
    """Files of a ZIM: many names, one content that doesn't compress."""

    def __init__(self, count: int) -> None:
        self._bytes = os.urandom(STUFFING_BYTES)
        self._count = count

    def __getitem__(self, name: str) -> bytes:
        return self._bytes

    def __iter__(self) -> Iterator[str]:
        return (f"stuffing-{number}" for number in range(self._count))

    def __len__(self) -> int:
        return self._count


def main() -> int:
    """Runs all of it."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.creator", description=summary)
    parser.add_argument(
        "--gib",
        type=int,
        nargs="+",
        default=[1, 5],
        help="sizes of the contents; about 3 times of it is used",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("var/bench/creator"), help="where the work is done"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return build_and_tell(arguments.child)
    rows = []
    for gib in arguments.gib:
        folder = arguments.folder.absolute() / f"{gib}-gib"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            rows += measure(prepare(folder, gib), gib)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)
    return 0


def prepare(folder: Path, gib: int) -> Bench:
    """Makes the content and puts it where the cache has it."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    say(f"making a ZIM file of {gib} GiB")
    zim = make_zim(cache / "made.zim", f"{gib} GiB", 10, files=_Stuffing(gib * GIB // STUFFING_BYTES))
    with zim.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    zim.rename(cache / sha256)
    size = (cache / sha256).stat().st_size
    url = "http://mirror.invalid/a.zim"
    return Bench(folder, Content("bench:a:", "A", "eng", "a.zim", url, (), size, sha256))


def measure(bench: Bench, gib: int) -> list[dict[str, Any]]:
    """All ways, warm and cold."""
    peers: dict[str, Callable[[Bench], None]] = {"cp + sync": copy, "mke2fs -d": make_with_contents}
    if os.geteuid() == 0:
        peers["loop mount + cp"] = copy_into_mount
    rows: list[dict[str, Any]] = []
    for state, prepare_cache in (("warm", warm), ("cold", forget)):
        prepare_cache(bench.file)
        told = build_in_a_process(bench)
        say(f"{gib} GiB, {state}: ours {told}")
        for peer, way in peers.items():
            prepare_cache(bench.file)
            begun = time.monotonic()
            way(bench)
            seconds = round(time.monotonic() - begun, 2)
            say(f"{gib} GiB, {state}: {peer} {seconds} s")
            work = f"{gib} GiB to a checked image, {state} cache"
            rows.append(row(work, "s", told["seconds"], peer, seconds))
        work = f"peak memory, {gib} GiB, {state} cache"
        rows.append(row(work, "MB", told["memory_mb"], "limit", MEMORY_LIMIT_MB))
    return rows


def row(work: str, unit: str, ours: float, peer: str, theirs: float) -> dict[str, Any]:
    """One line of the results."""
    ratio = round(ours / theirs, 2)
    return {"work": work, "unit": unit, "ours": ours, "peer": peer, "theirs": theirs, "ratio": ratio}


def build_in_a_process(bench: Bench) -> dict[str, Any]:
    """Builds the image in a fresh process, as a creator does; says its seconds and peak memory."""
    description = bench.folder / "plan.json"
    description.write_text(json.dumps(vars(bench.content)))
    argv = [sys.executable, "-m", "bench.creator", "--child", str(description)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    shutil.rmtree(bench.folder / "work")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # after its log
    return told


def build_and_tell(description: Path) -> int:
    """The fresh process."""
    content = Content(**json.loads(description.read_text()))
    folder = description.parent
    base = json.loads((BASES / f"{BASE}.json").read_text())
    reference = BaseReference(BASE, base["sha256"])
    plan = ImagePlan(
        "ab" * 32, image_bytes(base["root_bytes"], content), reference, (content,), {"version": 1}
    )
    places = Places(BASES, folder / "cache", folder / "work", Web())
    begun = time.monotonic()
    built = build(plan, places, unseen)
    os.sync()  # nothing is left to write, as for the others
    seconds = round(time.monotonic() - begun, 2)
    # Programs that it ran count by themselves: the largest of them. What getrusage says of this process is
    # never less than its parent had, which made the content.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = max(int(status["VmHWM"].split()[0]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    told = {"seconds": seconds, "memory_mb": round(peak * 1024 / 1e6), "phases": built.seconds}
    sys.stdout.write(json.dumps(told))
    return 0


def image_bytes(root_bytes: int, content: Content) -> int:
    """The smallest image that the content fits in."""
    size = content.size_bytes // ALIGNMENT * ALIGNMENT
    while not forecast(size, root_bytes, [content.size_bytes]).fits:
        size += 64 * ALIGNMENT
    return size


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    """Nobody watches."""


def warm(file: Path) -> None:
    """All of the file is in the page cache."""
    with file.open("rb", buffering=0) as stream:
        while stream.read(16 * 1024 * 1024):
            pass


def forget(file: Path) -> None:
    """Nothing of the file is in the page cache."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy(bench: Bench) -> None:
    """``cp`` and ``sync`` of the copy."""
    target = bench.folder / "copy.zim"
    run("cp", bench.file, target)
    run("sync", target)
    target.unlink()


def make_with_contents(bench: Bench) -> None:
    """``mke2fs -d`` of a folder, and ``sync``."""
    tree, image = bench.folder / "tree", bench.folder / "peer.img"
    tree.mkdir()
    (tree / "a.zim").hardlink_to(bench.file)
    with image.open("wb") as file:
        file.truncate(bench.content.size_bytes + GIB // 2)
    try:
        run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", tree, image)
        run("sync", image)
    finally:
        image.unlink()
        shutil.rmtree(tree)


def copy_into_mount(bench: Bench) -> None:
    """An ext4 in a file, mounted, the file copied into it, unmounted, and ``sync``."""
    mount, image = bench.folder / "mount", bench.folder / "peer.img"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(bench.content.size_bytes + GIB // 2)
    try:
        run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", image)
        run("mount", "-o", "loop", image, mount)
        try:
            run("cp", bench.file, mount / "a.zim")
        finally:
            run("umount", mount)
        run("sync", image)
    finally:
        image.unlink()
        mount.rmdir()


def run(program: str, *arguments: str | Path) -> None:
    """Runs a program to its end, however long that is."""
    subprocess.run([find(program), *arguments], check=True)


def show(rows: list[dict[str, Any]]) -> None:
    """The results as a table."""
    names = ("work", "unit", "ours", "peer", "theirs", "ratio")
    table = Table(*names, title="creator (lower is better)")
    for line in rows:
        table.add_row(*(str(line[name]) for name in names))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
