"""How many workers a stack has, and in which surroundings each of them runs."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from cardshop.contract.errors import InvalidInput


@dataclass(frozen=True)
class Shape:
    """The workers of a stack.

    Attributes:
        creators: how many.
        writers: how many; each has one slot, named by a letter.
        tries_images: whether creators start each image in a virtual machine before it is handed out.
        within: by a worker's name, the command that its own is put behind (``nsenter --net=...``).

    Raises:
        InvalidInput: there are more writers than letters.
    """

    creators: int = 1
    writers: int = 2
    tries_images: bool = False
    within: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.writers > len(string.ascii_uppercase):
            raise InvalidInput(f"A stack has at most {len(string.ascii_uppercase)} writers.", field="writers")

    @property
    def creator_names(self) -> tuple[str, ...]:
        """User names (and names of the services) of the creators."""
        return tuple(f"creator-{number}" for number in range(1, self.creators + 1))

    @property
    def writer_slots(self) -> dict[str, str]:
        """User name of each writer (and name of its service) to the name of its slot.

        All stand for one host, so that they share its cache.
        """
        return {
            f"writer-{number}": letter
            for number, letter in enumerate(string.ascii_uppercase[: self.writers], start=1)
        }
