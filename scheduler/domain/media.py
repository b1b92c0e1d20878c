"""Media: kinds of cards, with the size that every card of the kind has."""

from __future__ import annotations

from dataclasses import dataclass

SIZE_STEP = 4 * 1024 * 1024
"""Bytes; image sizes are multiples of it, since cards erase in blocks of this order."""

KEPT_PER_CENT = 97
"""Cards of one nominal size differ; none seen was below this share of its name."""


@dataclass(frozen=True)
class Medium:
    """A kind of card."""

    name: str
    nominal_gb: int  # as printed on the card, 10^9 bytes
    size_bytes: int  # what an image for it takes, and the least that a card must have

    @property
    def nominal_bytes(self) -> int:
        """What its label says."""
        return self.nominal_gb * 10**9


def size_of(nominal_gb: int) -> int:
    """Bytes of an image for a card with ``nominal_gb`` on its label."""
    return KEPT_PER_CENT * nominal_gb * 10**7 // SIZE_STEP * SIZE_STEP


COMMON_MEDIA = tuple(
    Medium(name=name, nominal_gb=gigabytes, size_bytes=size_of(gigabytes))
    for name, gigabytes in (
        *((f"{gigabytes} GB", gigabytes) for gigabytes in (8, 16, 32, 64, 128, 200, 256, 512)),
        ("1 TB", 1000),
    )
)
"""The cards that shops sell."""
