"""A writer's work in a process of its own, without a broker: to be killed, to be run beside another.

It writes the image, from the folder ``cache`` or a warehouse, to the card in a slot; it prints a line for
each piece of progress, and ``written`` at the end.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import certifi

from cardshop.contract.events import Phase
from cardshop.contract.tasks import WarehouseAccess
from tests.cards import DIGEST, NO_WAREHOUSE, claim_of, write_task
from writer.aside import Aside
from writer.history import SpeedHistory
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.slots import PATIENCE_SECONDS, slot_at
from writer.work import Workplace, write_card

REPOSITORY = Path(__file__).parents[1]


class Printer:
    """Tells the work's progress on standard output; having told ``stops_at`` it stands still."""

    cancelled = False

    def __init__(self, stops_at: str) -> None:
        self._stops_at = stops_at

    def progress(self, phase: Phase, done: int, total: int, unit: str = "bytes") -> None:  # noqa: ARG002
        self._say(f"{phase.value} {done}")

    def log(self, *lines: str) -> None:
        self._say(*(f"log {line}" for line in lines))

    def waiting(self, slot: str, why: str) -> None:  # noqa: ARG002
        self._say(f"waiting {why}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            print(line, flush=True)  # noqa: T201 - this is what the test reads
            if line == self._stops_at:
                threading.Event().wait()


def start_writer(
    folder: Path,
    slot: Path,
    task_id: str,
    digest: str = DIGEST,
    access: WarehouseAccess = NO_WAREHOUSE,
    ca_file: str = certifi.where(),
    stops_at: str = "",
) -> subprocess.Popen[str]:
    """A process that writes one card. Its output is read line by line; after ``stops_at`` none comes."""
    words = [str(folder), str(slot), task_id, digest, access.host, str(access.port), access.token, ca_file]
    words.append(stops_at)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.writers", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def main(words: list[str]) -> int:
    """The process."""
    folder, slot = Path(words[0]), Path(words[1])
    task_id, digest, host, port, token, ca_file, stops_at = words[2:]
    place = Workplace(
        slot=slot_at("A", slot),
        ledger=Ledger(folder / f"state-{slot.name}"),
        cache=ImageCache(folder / "cache", 10**12),
        ca_file=Path(ca_file),
        speeds=SpeedHistory(folder / "cache" / "card-speeds.json"),
        aside=Aside(PATIENCE_SECONDS),
        pause=threading.Event().wait,
    )
    task = write_task(task_id, digest=digest)
    access = WarehouseAccess(host, int(port), token, NO_WAREHOUSE.expires_at)
    write_card(place, task, claim_of(task, access), Printer(stops_at))
    print("written", flush=True)  # noqa: T201 - this is what the test reads
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
