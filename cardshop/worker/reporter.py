"""What the work tells while it goes on, and how it ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cardshop.contract.events import (
    EVENT_VERSION,
    Card,
    EventType,
    Failure,
    Log,
    Outcome,
    Phase,
    Progress,
    SlotChanged,
    Waiting,
    body_to_wire,
    outcome_to_wire,
)
from cardshop.worker.publisher import EventPublisher
from cardshop.worker.stopping import Stopped, StopSwitch

PROGRESS_SECONDS = 1.0
"""Progress within a phase is told once in this time."""


class Announcer:
    """Makes events of one worker, as Celery's own look, and sends them.

    Args:
        publisher: sends them.
        hostname: Celery's node name, ``<username>@<host>``.
        clock: seconds since the epoch.
    """

    def __init__(
        self, publisher: EventPublisher, hostname: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._publisher = publisher
        self._hostname = hostname
        self._clock = clock

    def slot_changed(self, slot: str, card: Card | None) -> None:
        """Tells that ``slot`` has ``card`` now, or none."""
        self.tell(EventType.SLOT_CHANGED, body_to_wire(SlotChanged(slot, card)))

    def tell(
        self,
        event_type: EventType,
        fields: Mapping[str, Any],
        *,
        may_be_lost: bool = False,
        overtaken_by_next: bool = False,
    ) -> threading.Event:
        """Sends one event; see :meth:`EventPublisher.send`."""
        event = {
            "type": event_type.value,
            "version": EVENT_VERSION,
            "hostname": self._hostname,
            "timestamp": self._clock(),
            "utcoffset": 0,
            "pid": os.getpid(),
            **fields,
        }
        return self._publisher.send(event, may_be_lost=may_be_lost, overtaken_by_next=overtaken_by_next)


class Reporter:
    """Tells of one claim of a task. For one thread at a time, except :meth:`log`.

    Args:
        announcer: sends the events.
        switch: knows whether the work is to stop.
        task_id: whose events they are.
        attempt: the task's attempt.
        claim: 0 for a message that could not be claimed.
        monotonic: seconds, for thinning progress out.
    """

    def __init__(
        self,
        announcer: Announcer,
        switch: StopSwitch,
        *,
        task_id: str,
        attempt: int,
        claim: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announcer = announcer
        self._switch = switch
        self._head = {"uuid": task_id, "attempt": attempt, "claim": claim}
        self._monotonic = monotonic
        self._seq = 0
        self._seq_lock = threading.Lock()
        self._phase: str | None = None
        self._told_at = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether the work was told to stop."""
        return self._switch.stopped is not None

    def progress(self, phase: Phase, done: int, total: int, unit: str = "bytes") -> None:
        """Tells how far ``phase`` is; call it as often as you like.

        Raises:
            Stopped: the work was told to stop, and something swallowed that.
        """
        if self._switch.stopped:
            raise Stopped(canceled=self._switch.stopped.canceled)
        now = self._monotonic()
        if phase == self._phase and done != total and now - self._told_at < PROGRESS_SECONDS:
            return
        self._phase, self._told_at = phase, now
        body = body_to_wire(Progress(phase.value, done, total, unit))
        self._tell(EventType.TASK_PROGRESS, body, may_be_lost=True, overtaken_by_next=True)

    def log(self, *lines: str) -> None:
        """Adds lines to the task's log, which a person reads. No secrets."""
        self._tell(EventType.TASK_LOG, body_to_wire(Log(lines)), may_be_lost=True)

    def waiting(self, slot: str, why: str) -> None:
        """Tells that the task waits for a card in ``slot``; ``why`` says what the technician does."""
        self._phase = None
        self._tell(EventType.TASK_WAITING, body_to_wire(Waiting(slot, why)))

    def slot_changed(self, slot: str, card: Card | None) -> None:
        """Tells that ``slot`` has ``card`` now, or none."""
        self._announcer.slot_changed(slot, card)

    def started(self) -> None:
        """Tells that the work begins."""
        self._tell(EventType.TASK_STARTED, {})

    def ended(self, outcome: Outcome, runtime: float) -> threading.Event:
        """Tells the outcome, after all that was told before; the answer is set when it is confirmed."""
        fields = {"outcome": outcome_to_wire(outcome), "runtime": runtime}
        if isinstance(outcome, Failure):
            return self._tell(EventType.TASK_FAILED, {**fields, "exception": outcome.sentence})
        return self._tell(EventType.TASK_SUCCEEDED, {**fields, "result": type(outcome).__name__})

    def revoked(self) -> threading.Event:
        """Tells that the work was ended because the task is canceled; the answer as in :meth:`ended`."""
        return self._tell(EventType.TASK_REVOKED, {"terminated": True, "signum": None, "expired": False})

    def _tell(self, event_type: EventType, fields: Mapping[str, Any], **how: bool) -> threading.Event:
        with self._seq_lock:
            self._seq += 1
            return self._announcer.tell(event_type, {**self._head, "seq": self._seq, **fields}, **how)
