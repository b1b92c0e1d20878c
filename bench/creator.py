"""How long an image takes from contents in the cache to checked, beside ways to copy: ``make bench-creator``.

The same contents (ZIM files of some GiB) become a checked image of ours, SHA-256 of every content and of the
whole block map included; and are copied by ``cp`` and synced (alone, and with the base: the bytes of the
image), copied into a loop-mounted ext4, put into an ext4 by ``mke2fs -d``, and made an image by Offspot's own
``image-creator`` (where ``--image-creator`` says where it is: see ``bench/image_creator.py``). Ours builds
the same Offspot YAML on the same base as that does. Each is done with the contents in the page cache (warm)
and without (cold). Ours runs in a process of its own, whose peak memory is told. Where the kernel has XFS or
btrfs, ours runs once on a file system with reflinks: what the building takes there, without the checking, is
told beside the goal of a second, and the whole beside a second and SHA-256 of the contents: blocks that
are shared come from the disk, for nothing is in the page cache under the image's name. The mounts need root.
The base was read whole by an earlier build, as a creator does once; its memory counts.

Ours and ``cp`` take turns, some rounds of them, for the times of a machine that others share differ by a
third and more from minute to minute: their medians are told. The slow ways are gone once.

Prints a table and writes ``var/bench/creator.json``; ratio is ours / theirs, lower is better.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import image_creator
from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import ALIGNMENT, BOOT_BYTES, BOOT_OFFSET, forecast
from cardshop.programs import find
from creator.build import build
from creator.mirrors import Web
from creator.plan import ImagePlan, Places

RESULTS = Path("var/bench/creator.json").absolute()
BASES = Path("var/bases").absolute()
BASE = "cardshop-amd64"
STAND_IN = "offspot-stand-in"
"""The base that ours and image-creator build on."""

TARGET = "/data/contents/zims/a.zim"
RUNTIME = "hostname: kiwix\n"
GIB = 1024**3
STUFFING_BYTES = 256 * 1024 * 1024
MEMORY_LIMIT_MB = 200
ROUNDS = 3
DIGEST = "ab" * 32

say = Console(stderr=True).print


@dataclass(frozen=True)
class Bench:
    """Where the work is done, on which base and with which content."""

    folder: Path
    base: Path
    content: Content

    @property
    def file(self) -> Path:
        """The content in the cache."""
        return self.folder / "cache" / self.content.sha256


def main() -> int:
    """Runs all of it."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.creator", description=summary)
    parser.add_argument(
        "--gib",
        type=int,
        nargs="+",
        default=[1, 5, 20],
        help="sizes of the contents; about 2.3 times of it is used (default: 1 5 20, as the disk allows)",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("var/bench/creator"), help="where the work is done"
    )
    parser.add_argument(
        "--image-creator",
        type=Path,
        default=os.environ.get(image_creator.VARIABLE),
        metavar="PROGRAM",
        help=f"Offspot's image-creator, to compare with (default: what {image_creator.VARIABLE} says)",
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return build_and_tell(arguments.child)
    folder = arguments.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    try:
        base = image_creator.stand_in_base(BASES / f"{BASE}.img", folder / "bases", STAND_IN)
        for gib in arguments.gib:
            if shutil.disk_usage(folder).free < (2.3 * gib + 6) * GIB:
                say(f"{gib} GiB: left out, the disk has too little room")
                continue
            bench = prepare(folder / f"{gib}-gib", base, gib)
            rows += measure(bench, gib, arguments.image_creator)
            rows += measure_with_reflinks(bench, gib)
            shutil.rmtree(bench.folder)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(rows)
    return 0


def prepare(folder: Path, base: Path, gib: int) -> Bench:
    """Makes a content that is as hard to compress as a ZIM file, where the cache has it."""
    made = folder / "cache" / "made"
    made.parent.mkdir(parents=True)
    say(f"making a content of {gib} GiB")
    stuffing = os.urandom(STUFFING_BYTES)
    with made.open("wb") as file:
        for _ in range(gib * GIB // STUFFING_BYTES):
            file.write(stuffing)
    sha256 = image_creator.sha256_of(made)
    made.rename(made.with_name(sha256))
    url = "http://mirror.invalid/a.zim"
    return Bench(folder, base, Content("files[0]", "A", "", TARGET, url, (), gib * GIB, sha256))


def measure(bench: Bench, gib: int, peer_program: Path | None) -> list[dict[str, Any]]:
    """All ways, warm and cold; ours and the quick ones in rounds."""
    quick: dict[str, Callable[[Bench], None]] = {
        "cp + sync, contents and base": copy_all,
        "cp + sync, contents": copy,
    }
    slow: dict[str, Callable[[Bench], None]] = {"mke2fs -d": make_with_contents}
    if os.geteuid() == 0:
        slow["loop mount + cp"] = copy_into_mount
        if peer_program is not None:
            slow["Offspot's image-creator"] = partial(create_by_peer, peer_program.absolute())
    rows: list[dict[str, Any]] = []
    memory = [build_in_a_process(bench)["memory_mb"]]  # reads the base whole
    for state, prepare_cache in (("warm", warm), ("cold", forget)):
        ours: list[float] = []
        theirs: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            prepare_cache(bench)
            told = build_in_a_process(bench)
            say(f"{gib} GiB, {state}: ours {told}")
            ours.append(told["seconds"])
            memory.append(told["memory_mb"])
            for peer, way in (quick if number else quick | slow).items():
                prepare_cache(bench)
                begun = time.monotonic()
                way(bench)
                theirs.setdefault(peer, []).append(round(time.monotonic() - begun, 2))
                say(f"{gib} GiB, {state}: {peer} {theirs[peer][-1]} s")
        work = f"{gib} GiB to a checked image, {state} cache"
        rows += [row(work, "s", median(ours), peer, median(times)) for peer, times in theirs.items()]
    rows.append(row(f"peak memory, {gib} GiB", "MB", max(memory), "limit", MEMORY_LIMIT_MB))
    return rows


def measure_with_reflinks(bench: Bench, gib: int) -> list[dict[str, Any]]:
    """Ours on XFS or btrfs in a file: contents are not copied there, their blocks are shared."""
    if os.geteuid() != 0:
        return []
    known = Path("/proc/filesystems").read_text().split()
    for kind, make in (("xfs", ["mkfs.xfs", "-q", "-m", "reflink=1"]), ("btrfs", ["mkfs.btrfs", "-q"])):
        if kind in known and shutil.which(make[0]):
            break
    else:
        say("no file system with reflinks: the kernel or mkfs.xfs and mkfs.btrfs are missing")
        return []
    file, mount = bench.folder / "reflink.img", bench.folder / "reflink"
    mount.mkdir()
    with file.open("wb") as stream:
        stream.truncate(2 * bench.content.size_bytes + 6 * GIB)  # ours takes the room before it knows better
    try:
        run(*make, file)
        run("mount", "-o", "loop", file, mount)
        try:
            inside = Bench(mount / "bench", bench.base, bench.content)
            inside.file.parent.mkdir(parents=True)
            run("cp", bench.file, inside.file)
            run("sync", inside.file)
            build_in_a_process(inside)  # reads the base whole
            forget(inside)
            told = build_in_a_process(inside)
            forget(inside)
            begun = time.monotonic()
            image_creator.sha256_of(inside.file)
            hashing = time.monotonic() - begun
        finally:
            run("umount", mount)
    finally:
        file.unlink()
        mount.rmdir()
    say(f"{gib} GiB on {kind} with reflinks: ours {told}")
    work = f"{gib} GiB put into the image with reflinks ({kind}), before it is checked"
    whole = f"{gib} GiB to a checked image with reflinks ({kind})"
    return [
        row(work, "s", told["phases"]["build"], "goal", 1.0),
        row(whole, "s", told["seconds"], "goal: SHA-256 of the contents and 1 s", round(hashing + 1, 2)),
    ]


def row(work: str, unit: str, ours: float, peer: str, theirs: float) -> dict[str, Any]:
    """One line of the results."""
    ratio = round(ours / theirs, 2)
    return {"work": work, "unit": unit, "ours": ours, "peer": peer, "theirs": theirs, "ratio": ratio}


def build_in_a_process(bench: Bench) -> dict[str, Any]:
    """Builds the image in a fresh process, as a creator does; says its seconds and peak memory."""
    description = bench.folder / "plan.json"
    description.write_text(json.dumps({"base": str(bench.base), "content": vars(bench.content)}))
    argv = [sys.executable, "-m", "bench.creator", "--child", str(description)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    shutil.rmtree(bench.folder / "work" / DIGEST)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # after its log
    return told


def build_and_tell(description: Path) -> int:
    """The fresh process."""
    told = json.loads(description.read_text())
    base, content, folder = Path(told["base"]), Content(**told["content"]), description.parent
    manifest = json.loads(base.with_suffix(".json").read_text())
    size = image_bytes(manifest["root_bytes"], content)
    configuration = {"version": 1, "offspot": {"runtime": RUNTIME, "files": []}}
    reference = BaseReference(base.stem, manifest["sha256"])
    plan = ImagePlan(DIGEST, size, reference, (content,), configuration)
    places = Places(base.parent, folder / "cache", folder / "work", Web())
    begun = time.monotonic()
    built = build(plan, places, unseen)
    os.sync()  # nothing is left to write, as for the others
    seconds = round(time.monotonic() - begun, 2)
    # Programs that it ran count by themselves: the largest of them. What getrusage says of this process is
    # never less than its parent had, which made the content.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = max(int(status["VmHWM"].split()[0]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    sys.stdout.write(
        json.dumps({"seconds": seconds, "memory_mb": round(peak * 1024 / 1e6), "phases": built.seconds})
    )
    return 0


def image_bytes(root_bytes: int, content: Content) -> int:
    """The smallest image that the content fits in."""
    size = content.size_bytes // ALIGNMENT * ALIGNMENT
    while not forecast(size, root_bytes, [content.size_bytes], has_shelf=False).fits:
        size += 64 * ALIGNMENT
    return size


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    """Nobody watches."""


def warm(bench: Bench) -> None:
    """All of the content and the base is in the page cache, and nothing waits to be written."""
    os.sync()
    for file in (bench.base, bench.file):
        with file.open("rb", buffering=0) as stream:
            while stream.read(16 * 1024 * 1024):
                pass


def forget(bench: Bench) -> None:
    """Nothing is in the page cache; without root, nothing of the content and the base."""
    os.sync()
    if os.geteuid() == 0:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return
    for file in (bench.base, bench.file):
        with file.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy(bench: Bench) -> None:
    """``cp`` and ``sync`` of the content."""
    target = bench.folder / "copy.zim"
    run("cp", bench.file, target)
    run("sync", target)
    target.unlink()


def copy_all(bench: Bench) -> None:
    """``cp`` and ``sync`` of content and base: what an image holds."""
    target = bench.folder / "copies"
    target.mkdir()
    run("cp", "--sparse=always", bench.base, bench.file, target)
    run("sync", *target.iterdir())
    shutil.rmtree(target)


def create_by_peer(program: Path, bench: Bench) -> None:
    """The same YAML by image-creator, the content in its cache."""
    work = bench.folder / "peer"
    work.mkdir()
    shared = work / "served"
    shared.mkdir()
    (shared / "a.zim").hardlink_to(bench.file)
    root_bytes = json.loads(bench.base.with_suffix(".json").read_text())["root_bytes"]
    try:
        with image_creator.served(shared) as address:
            source = image_creator.Source("a.zim", bench.file)
            image_creator.put_into_cache(work / "cache", address, [source])
            document = {
                "base": {
                    "source": f"file://{bench.base}",
                    "rootfs_size": BOOT_OFFSET + BOOT_BYTES + root_bytes,
                },
                "output": {"size": "auto"},
                "oci_images": [],
                "files": [
                    {
                        "to": TARGET,
                        "url": f"{address}/a.zim",
                        "size": bench.content.size_bytes,
                        "via": "direct",
                    }
                ],
                "write_config": False,
                "offspot": {"hostname": "kiwix"},
            }
            (work / "image.yaml").write_text(json.dumps(document))  # JSON is YAML
            image_creator.create(
                program, work / "image.yaml", work / "out.img", work / "cache", bench.folder / "peer.log"
            )
    finally:
        shutil.rmtree(work)


def make_with_contents(bench: Bench) -> None:
    """``mke2fs -d`` of a folder, and ``sync``."""
    tree, image = bench.folder / "tree", bench.folder / "peer.img"
    tree.mkdir()
    (tree / "a.zim").hardlink_to(bench.file)
    with image.open("wb") as file:
        file.truncate(bench.content.size_bytes + bench.content.size_bytes // 32 + GIB // 2)
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
        file.truncate(bench.content.size_bytes + bench.content.size_bytes // 32 + GIB // 2)
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
