"""Settings of the writer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cardshop.contract.errors import InvalidInput
from cardshop.settings import setting, variable
from cardshop.worker import WorkerSettings

DEFAULT_CACHE_BYTES = 200_000_000_000

_SLOT_NAME = re.compile(r"[A-Za-z0-9-]{1,16}")


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings):
    """Read from the environment; one writer serves one slot.

    Raises:
        InvalidInput: a value that can't be.
    """

    cache: Path = setting("folder for downloaded images; all writers of the host share it")
    state: Path = setting("this writer's own folder: what it knows of the card in its slot")
    slot: str = setting("the slot's name, for example A")
    slot_path: Path = setting("a folder (virtual slot) or a block device such as /dev/disk/by-path/...")
    cache_bytes: int = setting(
        "how much the images in the cache may take; images in use stay", default=DEFAULT_CACHE_BYTES
    )

    def __post_init__(self) -> None:
        if not _SLOT_NAME.fullmatch(self.slot):
            raise InvalidInput(
                f"{variable('slot')} is wrong: use 1 to 16 letters, digits or hyphens.", field="slot"
            )
