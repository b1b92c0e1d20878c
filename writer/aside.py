"""Runs what may hang for ever in a process that can be left behind.

A system call on a dead card or reader may never return, and no signal ends it: not even the process can end.
So such calls are made in a process aside. When it says nothing for too long it is killed, as far as that
goes, and left to the kernel; the next call gets a new one. It ends by itself when nobody holds its other end.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import structlog

from cardshop.contract.errors import CardshopError, Unavailable, error_from_wire

CLEAN_UP_SECONDS = 10.0
"""Time for a process that was asked to stop, to leave the card as it should be."""

KILLED_SECONDS = 1.0
"""A process that is killed is gone by then, or hangs."""

log = structlog.get_logger(__name__)


class Silent(Exception):
    """The process aside said nothing for too long, and was left behind."""


class Left(BaseException):  # not an Exception: the work ends, whatever it is at
    """Raised in the process aside when nobody listens any more."""


Tell = Callable[..., None]
"""Tells the caller something, and returns when it has been heard."""


class Aside:
    """A process for calls that may hang; it is started by the first call. For one thread.

    Args:
        patience_seconds: a process that says nothing for so long hangs.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._behind: subprocess.Popen[bytes] | None = None

    def call(
        self, function: Callable[..., Any], *arguments: object, heard: Callable[..., None] | None = None
    ) -> Any:
        """What ``function(*arguments)`` answers there; with ``heard``, its first argument is a :data:`Tell`.

        When this is left by an exception, of ``heard`` or a signal, the function is made to stop by
        :class:`Left` where it next tells something, and has some seconds for that.

        Raises:
            Silent: it hangs, or the one before does so still.
            CardshopError: what the function raised.
            Unavailable: its process died.
            RuntimeError: it raised something else.
        """
        line = self._started()
        try:
            line.send((function, arguments, heard is not None))
            while True:
                if not line.poll(self._patience_seconds):
                    raise Silent
                kind, content = line.recv()
                if kind != "told":
                    break
                if heard is not None:
                    heard(*content)
                line.send("heard")
        except Silent:
            self._leave(0)
            raise
        except (EOFError, OSError) as error:
            self._leave(0)
            raise Unavailable("The process that touches the card died.", hint="It is tried again.") from error
        except BaseException:
            self._leave(CLEAN_UP_SECONDS)
            raise
        if kind == "refused":
            raise error_from_wire(content)
        if kind == "broken":
            raise RuntimeError(content)
        return content

    def end(self) -> None:
        """Ends the process; another call starts a new one."""
        self._leave(CLEAN_UP_SECONDS)

    def _started(self) -> Connection[Any, Any]:
        if self._behind is not None:
            if self._behind.poll() is None:
                raise Silent
            self._behind = None
        if self._line is None:
            ours, theirs = socket.socketpair()
            with theirs:
                words = [sys.executable, "-m", "writer.aside", str(theirs.fileno())]
                self._process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
                )
            self._line = Connection(ours.detach())
        return self._line

    def _leave(self, seconds: float) -> None:
        if self._line is None or self._process is None:
            return
        self._line.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.warning("left behind", process=self._process.pid)
            self._process.kill()
            self._behind = self._process
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILLED_SECONDS)
        self._line = self._process = None


def _serve(line: Connection[Any, Any]) -> None:
    def tell(*content: object) -> None:
        try:
            line.send(("told", content))
            line.recv()
        except (EOFError, OSError):
            raise Left from None

    while True:
        function, arguments, telling = line.recv()
        try:
            answer = ("done", function(tell, *arguments) if telling else function(*arguments))
        except CardshopError as error:
            answer = ("refused", error.to_wire())
        except Exception as error:
            log.exception("failed by a fault of the program")
            answer = ("broken", f"{type(error).__name__}: {error}")
        line.send(answer)


if __name__ == "__main__":
    with contextlib.suppress(EOFError, OSError, Left, KeyboardInterrupt):
        _serve(Connection(int(sys.argv[1])))
