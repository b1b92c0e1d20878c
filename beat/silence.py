"""Looks for silence, again and again, in a thread of its own: no job that takes long may delay it."""

from __future__ import annotations

import threading

import structlog

from scheduler.domain.silence import Limits
from scheduler.shop.silence import sweep
from scheduler.store.database import DatabaseError
from scheduler.store.store import Store

SWEEP_SECONDS = 2.0
"""Time between two looks."""

log = structlog.get_logger(__name__)


class SilenceWatch(threading.Thread):
    """A thread that sweeps until ``stopped`` is set. Several beats at once are safe.

    Args:
        store: whose workers, slots and tasks.
        limits: of their silence.
        stopped: ends it.
    """

    def __init__(self, store: Store, limits: Limits, stopped: threading.Event) -> None:
        super().__init__(name="silence", daemon=True)
        self._store = store
        self._limits = limits
        self._stopped = stopped

    def run(self) -> None:
        """Sweeps; what fails is tried again with the next sweep."""
        while not self._stopped.wait(SWEEP_SECONDS):
            try:
                timed_out = sweep(self._store, self._limits)
            except DatabaseError as error:
                log.warning("the database does not answer", error=type(error).__name__)
            except Exception:
                # One thing that can't be judged must not end the watch over all the others.
                log.exception("a sweep failed")
            else:
                if timed_out:
                    log.info("tasks timed out", tasks=timed_out)
