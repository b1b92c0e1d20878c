"""Puts the writer together."""

from __future__ import annotations

import threading

import structlog

from cardshop import settings as cardshop_settings
from cardshop.contract import names
from cardshop.contract.events import Outcome
from cardshop.contract.tasks import Claim, WriteTask
from cardshop.worker import Job, Reporter, Slots, run_worker
from writer.aside import Aside
from writer.history import SpeedHistory
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.settings import Settings
from writer.slots import PATIENCE_SECONDS, slot_at
from writer.watch import watch
from writer.work import Workplace, write_card

log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Works until SIGTERM; returns the exit status."""
    log.info("starting", **cardshop_settings.describe(settings))
    slot = slot_at(settings.slot, settings.slot_path, settings.fixed_device)
    ledger = Ledger(settings.state)
    place = Workplace(
        slot=slot,
        ledger=ledger,
        cache=ImageCache(settings.cache, settings.cache_bytes),
        ca_file=settings.ca_file,
        speeds=SpeedHistory(settings.cache / "card-speeds.json"),
        aside=Aside(PATIENCE_SECONDS),
        pause=threading.Event().wait,  # never set; the signal that stops the work ends it
    )

    def work(task: WriteTask, claim: Claim, reporter: Reporter) -> Outcome:
        return write_card(place, task, claim, reporter)

    def watch_slot(slots: Slots, stop: threading.Event) -> None:
        watch(slot, ledger, slots, stop)

    queue = names.write_queue(settings.username)
    return run_worker(settings, Job(names.WRITE_TASK, queue, WriteTask.from_wire, work), watch_slot)
