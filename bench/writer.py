"""How long a verified card takes, beside other tools and the card's own rate: ``make bench-writer``.

Cards of 8 GB with a bandwidth of their own each (bench/throttled_cards.py). An image of that size, of which a
part is mapped, is written to one card and to four at once, and read back:

- by the writer, with its capacity proof and all its checks, from an image that the host has in its memory
  (warm) or on its disk only (cold);
- by ``bmaptool copy`` and a comparison of what is mapped, and by ``dd`` and ``cmp`` of all (one card only: it
  takes very long, and each card has its own bandwidth), with direct I/O;
- the card's own time: ``dd`` of as many bytes as are mapped, from zeroes, then to nothing.

Prints a table and writes ``var/bench/writer.json``; ratio is ours / theirs, lower is better. CPU seconds and
memory are those of all processes of the work. Needs root, and 40 GB on the disk for 6 GB of content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
from rich.console import Console
from rich.table import Table

from bench.throttled_cards import Bus, ThrottledCard, bus
from cardshop.contract.tasks import BaseReference
from cardshop.image_format import CHUNK_BYTES, BlockMap, Chunk, Manifest, Range
from cardshop.programs import run
from tests.cards import DIGEST, MIB, Listener, claim_of, write_task
from writer.aside import Aside
from writer.history import SpeedHistory
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.slots import PATIENCE_SECONDS, DeviceSlot
from writer.work import Workplace, write_card

RESULTS = Path("var/bench/writer.json").absolute()
CARDS = 4
RUNS = 16
"""Mapped ranges of an image, evenly apart."""

SPARE_BYTES = 16 * MIB
LONGEST_SECONDS = 3600

say = Console(stderr=True).print


@dataclass(frozen=True)
class Image:
    """What is written."""

    path: Path
    manifest: Manifest


def main(words: Sequence[str]) -> int:
    """The benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.writer", description="Seconds to a verified card, beside other tools."
    )
    parser.add_argument("--image-mb", type=int, default=7760, help="size of the image (default: 8 GB card)")
    parser.add_argument("--content-mb", type=int, nargs="+", default=[1000, 6000], help="mapped of it")
    parser.add_argument("--rate", type=int, default=90, help="MB/s of a card (default: 90)")
    parser.add_argument("--folder", type=Path, help="for images and cards (default: a temporary one)")
    arguments = parser.parse_args(words)
    if os.geteuid() != 0:
        sys.stderr.write("Loop devices need root.\n")
        return 77
    rows: list[dict[str, Any]] = []
    for content in arguments.content_mb:
        folder = Path(tempfile.mkdtemp(prefix="bench-writer-", dir=arguments.folder))
        try:
            with bus(arguments.rate * 10**6) as cards:
                rows += measure(folder, arguments.image_mb * 10**6, content * 10**6, cards)
        finally:
            shutil.rmtree(folder)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table(title=f"Image of {arguments.image_mb} MB, cards of {arguments.rate} MB/s")
    for column in rows[0]:
        table.add_column(column)
    for line in rows:
        table.add_row(*(str(value) for value in line.values()))
    say(table)
    return 0


def measure(folder: Path, size: int, content: int, cards_bus: Bus) -> list[dict[str, Any]]:
    """All rows of one image."""
    image = make_image(folder / "cache" / DIGEST, size // CHUNK_BYTES * CHUNK_BYTES, content)
    mapped = image.manifest.mapped_bytes
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        cards = [
            stack.enter_context(cards_bus.card(folder / f"card-{n}", image.manifest.bytes + SPARE_BYTES))
            for n in range(CARDS)
        ]
        one = 0.0
        for count in (1, CARDS):
            some = cards[:count]
            own = timed(lambda card: raw(card, mapped), some)
            peers = {"the card's own write + read": own}
            peers["bmaptool copy + cmp of what is mapped"] = timed(
                lambda card: by_bmaptool(image, card), some
            )
            if count == 1:
                peers["dd + cmp of all"] = timed(lambda card: by_dd(image, card), some)
            for cache in ("cold", "warm"):
                if cache == "cold":
                    forget(image.path)
                before = cpu_seconds()
                ours = timed(lambda card: written(folder, image, card), some)
                cpu = (cpu_seconds() - before) / count / mapped * 10**9
                work = f"{content // 10**6} MB onto {count} card{'s at once' if count > 1 else ''}, {cache}"
                say(f"{work}: {ours:.1f} s, {cpu:.2f} CPU seconds a GB, at most {peak_mb()} MB a process")
                rows += [row(work, ours, peer, theirs, cpu) for peer, theirs in peers.items()]
            if count == 1:
                one = ours
            else:
                rows.append(row(f"{content // 10**6} MB, {count} cards at once", ours, "one card", one, cpu))
    return rows


def row(work: str, ours: float, peer: str, theirs: float, cpu: float) -> dict[str, Any]:
    """One comparison; seconds."""
    return {
        "work": work,
        "ours": round(ours, 2),
        "peer": peer,
        "theirs": round(theirs, 2),
        "ratio": round(ours / theirs, 3),
        "CPU s a GB": round(cpu, 2),
        "MB a process": peak_mb(),
    }


def timed(work: Callable[[ThrottledCard], None], cards: Sequence[ThrottledCard]) -> float:
    """Seconds until all cards are done, at once."""
    begun = time.monotonic()
    with ThreadPoolExecutor(len(cards)) as pool:
        list(pool.map(work, cards))
    return time.monotonic() - begun


def cpu_seconds() -> float:
    """Of this process and of those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mb() -> int:
    """Of the largest process that has ended: the one that touches a card, for other tools take less."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // 10**6


def written(folder: Path, image: Image, card: ThrottledCard) -> None:
    """By the writer."""
    state = folder / f"state-{card.device.name}"
    place = Workplace(
        slot=DeviceSlot("A", card.device, str(card.file)),
        ledger=Ledger(state),
        cache=ImageCache(folder / "cache", 10**12),
        ca_file=Path(certifi.where()),
        speeds=SpeedHistory(folder / "cache" / "card-speeds.json"),
        aside=Aside(PATIENCE_SECONDS),
        pause=_no_waiting,
    )
    task = write_task(size=image.manifest.bytes)
    write_card(place, task, claim_of(task), Listener())
    shutil.rmtree(state)


def raw(card: ThrottledCard, size: int) -> None:
    """What the card itself takes."""
    count = size // CHUNK_BYTES
    _dd("if=/dev/zero", f"of={card.device}", "oflag=direct", "conv=fsync", f"count={count}")
    _dd(f"if={card.device}", "of=/dev/null", "iflag=direct", f"count={count}")


def by_dd(image: Image, card: ThrottledCard) -> None:
    """By what everybody has."""
    _dd(f"if={image.path}", f"of={card.device}", "oflag=direct", "conv=fsync")
    _compare(image, card, Range(0, image.manifest.bytes))


def by_bmaptool(image: Image, card: ThrottledCard) -> None:
    """By the field's own tool, which reads nothing back."""
    block_map = image.path.with_suffix(".bmap")
    run(["bmaptool", "copy", "--bmap", block_map, image.path, card.device], timeout=LONGEST_SECONDS)
    for mapped in image.manifest.ranges():
        _compare(image, card, mapped)


def _compare(image: Image, card: ThrottledCard, part: Range) -> None:
    begin, count = part.offset // CHUNK_BYTES, part.length // CHUNK_BYTES
    words = (
        f"dd if={card.device} iflag=direct bs={CHUNK_BYTES} skip={begin} count={count} status=none | "
        f"cmp --bytes={part.length} --ignore-initial=0:{part.offset} - {image.path}"
    )
    run(["sh", "-c", words], timeout=LONGEST_SECONDS)


def _dd(*words: str) -> None:
    run(["dd", f"bs={CHUNK_BYTES}", "status=none", *words], timeout=LONGEST_SECONDS)


def _no_waiting(_seconds: float) -> None:
    raise RuntimeError("the writer waits for another card")


def forget(image: Path) -> None:
    """Takes the image out of the host's memory."""
    descriptor = os.open(image, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def make_image(folder: Path, size: int, content: int) -> Image:
    """An image with so many mapped bytes, in ranges that are evenly apart."""
    folder.mkdir(parents=True)
    source = random.Random(1)  # noqa: S311 - test data
    path = folder / f"{DIGEST}.img"
    chunks = []
    run_bytes = content // RUNS // CHUNK_BYTES * CHUNK_BYTES
    step = size // RUNS // CHUNK_BYTES * CHUNK_BYTES
    with path.open("wb") as file:
        file.truncate(size)
        for begin in range(0, RUNS * step, step):
            for offset in range(begin, begin + run_bytes, CHUNK_BYTES):
                data = source.randbytes(CHUNK_BYTES)
                os.pwrite(file.fileno(), data, offset)
                chunks.append(Chunk(offset, CHUNK_BYTES, hashlib.sha256(data).hexdigest()))
    manifest = Manifest(
        DIGEST, size, len(chunks) * CHUNK_BYTES, tuple(chunks), (), BaseReference("bench", "0" * 64)
    )
    manifest.to_file(path.with_suffix(".json"))
    BlockMap(size, manifest.chunks).to_file(path.with_suffix(".bmap"))
    return Image(path, manifest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
