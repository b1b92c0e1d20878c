"""Stopping a child process in the middle of its work, by a signal.

Two signals have a meaning: the task was canceled, or the worker is to end and another may go on. Either one
raises :class:`Stopped` in the main thread, so that ``finally`` blocks and context managers clean up. A child
that hasn't ended some time later ends at once, and its message goes back to the queue.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CANCEL_SIGNAL = signal.SIGUSR2
"""Not SIGTERM: that may come from a supervisor that means the whole process group, and cancels nothing."""

GIVE_BACK_SIGNAL = signal.SIGTERM

CLEAN_UP_SECONDS = 20.0
"""Time for cleaning up; after it the child ends wherever it is."""

_STUCK_STATUS = 75


class Stopped(BaseException):  # not an Exception: "except Exception" must not swallow it
    """The work must end now, without an outcome."""

    def __init__(self, *, canceled: bool) -> None:
        super().__init__("canceled" if canceled else "given back")
        self.canceled = canceled


class StopSwitch:
    """Turns the two signals into :class:`Stopped` while a task is in hand."""

    def __init__(self, clean_up_seconds: float = CLEAN_UP_SECONDS) -> None:
        self._clean_up_seconds = clean_up_seconds
        self._in_hand = False
        self._leaving = False
        self.stopped: Stopped | None = None

    def install(self) -> None:
        """Takes the signals over; to be called in the child's main thread."""
        signal.signal(CANCEL_SIGNAL, self._on_signal)
        signal.signal(GIVE_BACK_SIGNAL, self._on_signal)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """A task is in hand. Raises Stopped at once in a child that was told to leave before."""
        if self._leaving:
            raise Stopped(canceled=False)
        self.stopped = None
        self._in_hand = True
        try:
            yield
        finally:
            self._in_hand = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        canceled = number == CANCEL_SIGNAL
        if not canceled:
            self._leaving = True
            # Asked a second time, the child ends as any process does.
            signal.signal(GIVE_BACK_SIGNAL, signal.SIG_DFL)
        if not self._in_hand or self.stopped:
            return
        self.stopped = Stopped(canceled=canceled)
        watchdog = threading.Timer(self._clean_up_seconds, self._end_if_stuck, [self.stopped])
        watchdog.daemon = True
        watchdog.start()
        raise self.stopped

    def _end_if_stuck(self, stopped: Stopped) -> None:
        if self._in_hand and self.stopped is stopped:
            os._exit(_STUCK_STATUS)
