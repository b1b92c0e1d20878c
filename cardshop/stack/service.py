"""What the supervisor must know of one service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cardshop.settings import Address


@dataclass(frozen=True)
class Service:
    """One process to keep running.

    Attributes:
        name: as in the log's name and the status table.
        argv: program and arguments, absolute; no secret (others can see them).
        environment: added to the supervisor's own; secrets only as paths of files.
        address: where it listens, None when it doesn't.
        stop_seconds: time that it has to end after SIGTERM, before SIGKILL.
        folder: its working folder.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    address: Address | None = None
    stop_seconds: int = 30
    folder: Path = Path("/")
