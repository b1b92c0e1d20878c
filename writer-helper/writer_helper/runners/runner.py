"""The interface of what keeps writers running."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cardshop.writer_host import ConfiguredSlot, WriterHost

STOP_SECONDS = 60
"""Time that a writer has to give its work back after it was asked to stop, before it is killed."""


@dataclass(frozen=True)
class WriterState:
    """How one writer is.

    Attributes:
        slot: its slot's name.
        running: whether it runs now.
        what: what it runs as, such as ``process 4711``; empty when it was never started.
        since: when it was started, None when it doesn't run.
        at_boot: whether it is started when the host comes up.
    """

    slot: str
    running: bool
    what: str = ""
    since: datetime | None = None
    at_boot: bool = False


class Runner(Protocol):
    """Starts, stops and shows the writers of this host, one a slot. Touches nothing that isn't ours.

    Every method may raise Unavailable when what it stands on (Docker, systemd) is not there.
    """

    def start(self, slot: ConfiguredSlot) -> None:
        """Starts the writer of a slot, with the configuration as it is now. Nothing when it runs already.

        Raises:
            InvalidInput: the writer has no account yet.
            Unavailable: it did not stay up; the hint has its last words.
        """

    def stop(self, slot_name: str) -> None:
        """Ends the writer of a slot; a task in hand goes back to its queue. Nothing when it doesn't run."""

    def state(self, slot_name: str) -> WriterState:
        """How the writer of a slot is."""

    def known(self) -> list[str]:
        """Names of the slots that have a writer of ours, also ones that the configuration no longer has."""

    def logs(self, slot_name: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """The last lines that the writer of a slot logged; with ``follow``, then those that come."""

    def update(self) -> list[str]:
        """Has the running writers run the newest version that can be had; those that were started again."""


def proxy_variables(host: WriterHost) -> dict[str, str]:
    """The environment variables that lead the writer's calls to the scheduler through the proxy."""
    return {"HTTPS_PROXY": host.proxy, "NO_PROXY": ""} if host.proxy else {}
