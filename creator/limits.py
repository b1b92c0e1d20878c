"""What a build may take of its host: processors, memory, time; its disk is reckoned in :mod:`creator.space`.

The limits hold for this process and for the programs that it starts, while a block runs. They are the
kernel's own (affinity, ``RLIMIT_DATA``, a timer) and need no rights. For the main thread.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cardshop.contract.errors import ImageDamaged, LimitReached, ProgramFailed
from cardshop.fit import MIB

_OUT_OF_MEMORY = ("allocate memory", "memory allocation", "out of memory", "memory exhausted")
"""How programs and libext2fs say it."""


class _TimeIsUp(BaseException):  # not an Exception: what goes on after an error must not go on after this
    """The build's time is over."""


@contextmanager
def processors(count: int) -> Iterator[None]:
    """Threads and programs that begin in the block share ``count`` processors; 0: all there are.

    Which ones depends on the process, so that the creators of a host don't crowd onto the same.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if not 0 < count < len(allowed):
        yield
        return
    first = os.getpid() % len(allowed)
    os.sched_setaffinity(0, {allowed[(first + place) % len(allowed)] for place in range(count)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def memory(limit: int) -> Iterator[None]:
    """This process, and each program begun in the block, gets at most ``limit`` bytes; 0: no limit.

    Pages of files are not counted: the kernel takes them back when it needs them.

    Raises:
        LimitReached: that was too little.
    """
    if not limit:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    except (MemoryError, RuntimeError, ProgramFailed, ImageDamaged) as error:
        if not _tells_of_memory(error):
            raise
        raise LimitReached(
            f"The build needs more memory than the {limit // MIB:,} MiB that this creator gives it.",
            hint="An admin raises CARDSHOP_BUILD_MEMORY_BYTES of this creator.",
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """The block ends after ``seconds`` wherever it is; 0: no limit.

    Raises:
        LimitReached: it was ended.
    """
    if not seconds:
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TimeIsUp:
        raise LimitReached(
            f"The build took more than the {seconds:,.0f} s that this creator gives it, and was ended.",
            hint="What was fetched is kept. An admin raises CARDSHOP_BUILD_SECONDS of this creator.",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _tells_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    told = f"{error} {getattr(error, 'hint', '')}".lower()
    # A thread that can't begin has no room for its stack.
    return any(words in told for words in (*_OUT_OF_MEMORY, "can't start new thread", "bad_alloc"))
