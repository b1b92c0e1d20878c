"""Settings of the writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cardshop import writer_host
from cardshop.contract.errors import InvalidInput
from cardshop.settings import load, setting, variable
from cardshop.worker import WorkerSettings

CONFIGURATION = variable("configuration")
"""Names the file of ``cardshop.writer_host``; the slot's name then tells which of its writers this one is."""


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings):
    """Read from the environment; one writer serves one slot.

    Raises:
        InvalidInput: a value that can't be.
    """

    cache: Path = setting(
        "folder for downloaded images and the speeds of cards; all writers of the host share it"
    )
    state: Path = setting("this writer's own folder: what it knows of the card in its slot")
    slot: str = setting("the slot's name, for example A")
    slot_path: Path = setting("a folder (virtual slot) or a block device such as /dev/disk/by-path/...")
    fixed_device: str = setting(
        "allows the slot's device though it doesn't say it is removable: its vendor and model; for a loop "
        "device its file",
        default="",
    )
    cache_bytes: int = setting(
        "how much the images in the cache may take; images in use stay",
        default=writer_host.DEFAULT_CACHE_BYTES,
    )

    def __post_init__(self) -> None:
        if wrong := writer_host.wrong_slot_name(self.slot):
            raise InvalidInput(f"{variable('slot')} is wrong: it {wrong}.", field="slot")


def read(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment says, and for what it doesn't say, the host's configuration file.

    Raises:
        InvalidInput: names what is missing or wrong.
        NotFound: the file isn't there, or has no such slot.
    """
    path = environment.get(CONFIGURATION)
    if not path:
        return load(Settings, environment)
    slot = environment.get(variable("slot"))
    if not slot:
        raise InvalidInput(f"{variable('slot')} is missing: the name of a slot in {path}.", field="slot")
    return load(Settings, {**writer_host.load(Path(path)).variables(slot), **environment})
