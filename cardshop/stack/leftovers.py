"""Processes of a stack that nobody supervises any more: found by a mark in their environment, and ended."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from pathlib import Path

from cardshop.stack.supervisor import MARK

GRACE_SECONDS = 20.0
KILLED_SECONDS = 5.0


def processes(root: Path) -> list[int]:
    """Ids of the running processes of the stack in ``root``, without the caller's own."""
    mark = f"{MARK}={root}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                marked = mark in (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile, or is another user's
                continue
            if marked:
                found.append(int(folder.name))
    return found


def end(root: Path) -> int:
    """Ends what is left of the stack in ``root``: SIGTERM, then SIGKILL. Returns how many there were."""
    first = processes(root)
    _signal(first, signal.SIGTERM)
    wait(first, GRACE_SECONDS)
    while stubborn := processes(root):
        _signal(stubborn, signal.SIGKILL)
        wait(stubborn, KILLED_SECONDS)
    return len(first)


def wait(pids: Iterable[int], seconds: float) -> None:
    """Returns when these processes have ended, or after ``seconds``."""
    poller = select.poll()
    waiting: set[int] = set()
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        waiting.add(descriptor)
        poller.register(descriptor, select.POLLIN)
    while waiting:
        ended = [descriptor for descriptor, _ in poller.poll(seconds * 1000)]
        for descriptor in ended or list(waiting):
            poller.unregister(descriptor)
            os.close(descriptor)
            waiting.discard(descriptor)


def _signal(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue
