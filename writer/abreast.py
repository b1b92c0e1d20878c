"""Does the same with many chunks, some at once, so that neither the card nor the host waits for the other.

While one chunk goes over the bus to the card, the next ones are read and checked: Python lets go of its lock
for each of these. They end in any order and are told of in theirs, and so are their failures.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue

from cardshop.image_format import Chunk

AT_ONCE = 3
"""One is on the card's bus, one waits at its door, one is checked."""

LOOK_SECONDS = 1.0
"""So long a chunk may take before it is asked what it waits for."""

Do = Callable[[memoryview, Chunk, threading.Event], None]
"""What is done: with memory of the chunk's length, until the event is set."""


class Abreast:
    """Memory for some chunks at once.

    Args:
        longest: length of the longest chunk.
    """

    def __init__(self, longest: int) -> None:
        # Direct I/O wants memory at page boundaries, which an anonymous map has.
        self.memory = [memoryview(mmap.mmap(-1, longest)) for _ in range(AT_ONCE)]

    def run(
        self,
        chunks: Iterable[Chunk],
        do: Do,
        done: Callable[[Chunk], None],
        waits: Callable[[Chunk], None],
    ) -> None:
        """Does it with each of the chunks; when this is left, nothing is going on any more.

        Args:
            chunks: which.
            do: what.
            done: called with each, in their order.
            waits: called now and then with the one that all the others wait for.

        Raises:
            What ``do`` raises for the first chunk that fails; those after it may be done or not.
        """
        free: SimpleQueue[memoryview] = SimpleQueue()
        for memory in self.memory:
            free.put(memory)
        ending = threading.Event()

        def one(chunk: Chunk) -> None:
            memory = free.get()
            try:
                do(memory[: chunk.length], chunk, ending)
            finally:
                free.put(memory)

        def end_of(chunk: Chunk, work: Future[None]) -> None:
            while not wait([work], LOOK_SECONDS).done:
                waits(chunk)
            work.result()
            done(chunk)

        begun: deque[tuple[Chunk, Future[None]]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for chunk in chunks:
                    if len(begun) == AT_ONCE:
                        end_of(*begun.popleft())
                    begun.append((chunk, pool.submit(one, chunk)))
                while begun:
                    end_of(*begun.popleft())
            finally:
                ending.set()
                for _chunk, work in begun:
                    work.cancel()
