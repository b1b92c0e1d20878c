"""How long a verified card takes, beside other tools and the card's own rate: ``make bench-writer``.

The cards are loop devices over emulated cards (tests/failing_cards.py) that take and give so many bytes a
second each. One image, already in the writer's cache, is written to one card and to four at once, and read
back:

- by the writer, with its capacity proof and all its checks;
- by ``dd`` and ``cmp`` with direct I/O, and by ``bmaptool copy`` and ``cmp``;
- the card's own time: ``dd`` from zeroes, then to nothing.

Prints a table and writes ``var/bench/writer.json``; ratio is ours / theirs, lower is better. Needs root.
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
from pathlib import Path
from typing import Any

import certifi
from rich.console import Console
from rich.table import Table

from cardshop.contract.tasks import BaseReference
from cardshop.image_format import CHUNK_BYTES, BlockMap, Chunk, Manifest
from cardshop.programs import run
from tests.cards import DIGEST, MIB, Listener, claim_of, write_task
from tests.failing_cards import Emulated, Fault, emulated_card
from writer.aside import Aside
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.slots import PATIENCE_SECONDS, DeviceSlot
from writer.work import Workplace, write_card

RESULTS = Path("var/bench/writer.json").absolute()
CARDS = 4
SPARE_BYTES = 16 * MIB
LONGEST_SECONDS = 3600

say = Console(stderr=True).print


def main(words: Sequence[str]) -> int:
    """The benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.writer", description="Seconds to a verified card, beside other tools."
    )
    parser.add_argument("--mib", type=int, default=256, help="size of the image, all of it mapped")
    parser.add_argument("--rate", type=int, default=40, help="MiB/s of a card")
    arguments = parser.parse_args(words)
    if os.geteuid() != 0:
        sys.stderr.write("Loop devices need root.\n")
        return 77
    folder = Path(tempfile.mkdtemp(prefix="bench-writer-"))
    try:
        rows = measure(folder, arguments.mib * MIB, Fault(seconds_per_mib=1 / arguments.rate))
    finally:
        shutil.rmtree(folder)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table(title=f"{arguments.mib} MiB, cards of {arguments.rate} MiB/s")
    for column in ("work", "unit", "ours", "peer", "theirs", "ratio"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    say(table)
    return 0


def measure(folder: Path, size: int, fault: Fault) -> list[dict[str, Any]]:
    """All rows."""
    image = make_image(folder / "cache" / DIGEST, size)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        cards = [
            stack.enter_context(
                emulated_card(folder / f"memory-{n}", folder / f"reader-{n}", fault, size=size + SPARE_BYTES)
            )
            for n in range(CARDS)
        ]
        one = 0.0
        for count in (1, CARDS):
            work = f"{count} verified card{'s at once' if count > 1 else ''}, warm cache"
            before = cpu_seconds()
            ours = timed(lambda card: written(folder, card, size), cards[:count])
            cpu = cpu_seconds() - before
            peers = {
                "the card's own write + read": timed(lambda card: raw(card, size), cards[:count]),
                "dd + cmp": timed(lambda card: by_dd(image, card, size), cards[:count]),
                "bmaptool copy + cmp": timed(lambda card: by_bmaptool(image, card, size), cards[:count]),
            }
            rows += [row(work, "s", ours, peer, theirs) for peer, theirs in peers.items()]
            say(f"{work}: {cpu / count / size * 10**9:.1f} CPU seconds a GB")
            if count == 1:
                one = ours
            else:
                rows.append(row(f"{count} cards at once beside one", "s", ours, "one card", one))
    return rows


def row(work: str, unit: str, ours: float, peer: str, theirs: float) -> dict[str, Any]:
    """One comparison."""
    return {
        "work": work,
        "unit": unit,
        "ours": round(ours, 2),
        "peer": peer,
        "theirs": round(theirs, 2),
        "ratio": round(ours / theirs, 3),
    }


def timed(work: Callable[[Emulated], None], cards: Sequence[Emulated]) -> float:
    """Seconds until all cards are done, at once."""
    begun = time.monotonic()
    with ThreadPoolExecutor(len(cards)) as pool:
        list(pool.map(work, cards))
    return time.monotonic() - begun


def cpu_seconds() -> float:
    """Of the processes aside that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written(folder: Path, card: Emulated, size: int) -> None:
    """By the writer."""
    state = folder / f"state-{card.device.name}"
    place = Workplace(
        slot=DeviceSlot("A", card.device, str(card.file)),
        ledger=Ledger(state),
        cache=ImageCache(folder / "cache", 10**12),
        ca_file=Path(certifi.where()),
        aside=Aside(PATIENCE_SECONDS),
        pause=_no_waiting,
    )
    task = write_task(size=size)
    write_card(place, task, claim_of(task), Listener())
    shutil.rmtree(state)


def raw(card: Emulated, size: int) -> None:
    """What the card itself takes."""
    _dd("if=/dev/zero", f"of={card.device}", "oflag=direct", "conv=fsync", f"count={size // CHUNK_BYTES}")
    _dd(f"if={card.device}", "of=/dev/null", "iflag=direct", f"count={size // CHUNK_BYTES}")


def by_dd(image: Path, card: Emulated, size: int) -> None:
    """By what everybody has."""
    _dd(f"if={image}", f"of={card.device}", "oflag=direct", "conv=fsync")
    _compare(image, card, size)


def by_bmaptool(image: Path, card: Emulated, size: int) -> None:
    """By the field's own tool, which reads nothing back."""
    words = ["bmaptool", "copy", "--bmap", str(image.with_suffix(".bmap")), str(image), str(card.device)]
    run(words, timeout=LONGEST_SECONDS)
    _compare(image, card, size)


def _compare(image: Path, card: Emulated, size: int) -> None:
    words = f"dd if={card.device} iflag=direct bs=4M count={size // CHUNK_BYTES} status=none | cmp - {image}"
    run(["sh", "-c", words], timeout=LONGEST_SECONDS)


def _dd(*words: str) -> None:
    run(["dd", "bs=4M", "status=none", *words], timeout=LONGEST_SECONDS)


def _no_waiting(_seconds: float) -> None:
    raise RuntimeError("the writer waits for another card")


def make_image(folder: Path, size: int) -> Path:
    """An image of which every byte is mapped."""
    folder.mkdir(parents=True)
    source = random.Random(1)  # noqa: S311 - test data
    image = folder / f"{DIGEST}.img"
    chunks = []
    with image.open("wb") as file:
        for offset in range(0, size, CHUNK_BYTES):
            data = source.randbytes(CHUNK_BYTES)
            file.write(data)
            chunks.append(Chunk(offset, CHUNK_BYTES, hashlib.sha256(data).hexdigest()))
    manifest = Manifest(DIGEST, size, size, tuple(chunks), (), BaseReference("bench", "0" * 64))
    manifest.to_file(image.with_suffix(".json"))
    BlockMap(size, manifest.chunks).to_file(image.with_suffix(".bmap"))
    return image


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
