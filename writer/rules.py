"""The rules that keep a wrong disk from being written to: one function each.

A rule looks at what is about to be written to and answers ``None``, or what is wrong with it and what to do.
All of them are asked of the path before it is opened, and again of the open descriptor, when the kernel lets
nobody else mount it, swap to it or build on it (``O_EXCL``). ``docs/cards.md`` lists them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cardshop.contract.errors import CardRefused
from writer import block_device, signatures
from writer.slots import Identity, Inserted

READ_ONLY_HINT = "Slide the card's or its adapter's switch, or take another card."

LARGEST_PER_CENT = 125
"""Of the image, for a device: cards of one kind differ by some per cent, the next kind has 28 more."""

_NOT_A_CARD = "This is a disk of the host, not a card: check the slot's path in the writer's configuration."
_UNMOUNT = "Unmount it, if it is really the card; switch automatic mounting off on this host."


@dataclass(frozen=True)
class Candidate:
    """What is about to be written to."""

    inserted: Inserted
    image_bytes: int
    descriptor: int | None = None  # before it is opened there is none

    @property
    def number(self) -> int:
        """Of the block device; 0 for a file."""
        return self.inserted.identity.number


@dataclass(frozen=True)
class Problem:
    """Why a rule refuses, and what to do."""

    sentence: str
    hint: str


Rule = Callable[[Candidate], Problem | None]


def slots_own(candidate: Candidate) -> Problem | None:
    """The slot's path leads to this very device, now too."""
    try:
        leads_to = candidate.inserted.place.stat()
        opened = (
            candidate.inserted.path.lstat()
            if candidate.descriptor is None
            else os.fstat(candidate.descriptor)
        )
    except OSError:
        return Problem(
            f"The card {candidate.inserted.card.serial} is no longer in its slot.",
            "Put it in again, or another one.",
        )
    if candidate.number:
        same = leads_to.st_rdev == opened.st_rdev == candidate.number
    else:
        same = os.path.samestat(leads_to, opened)
    if same:
        return None
    return Problem(
        f"{candidate.inserted.place} leads to another device than {candidate.inserted.path} now.",
        "Leave the reader plugged in while a card is written; see who changes the slot's path.",
    )


def same_card(candidate: Candidate) -> Problem | None:
    """What was opened is the card that was seen: its device, its medium, its size."""
    if candidate.descriptor is None or Identity.of(candidate.descriptor) == candidate.inserted.identity:
        return None
    return Problem(
        f"Another card than {candidate.inserted.card.serial} is in the slot now.",
        "Leave the card in its slot.",
    )


def whole_disk(candidate: Candidate) -> Problem | None:
    """It is a disk, not a part of one."""
    if not block_device.is_partition(candidate.number):
        return None
    return Problem(f"{candidate.inserted.path} is a part of a disk, not a card.", "Name the whole device.")


def removable_or_allowed(candidate: Candidate) -> Problem | None:
    """It can be taken out, or the slot's configuration allows it by its name."""
    name = block_device.fixed_name(candidate.number)
    if not candidate.number or block_device.is_removable(candidate.number):
        return None
    if name and name == candidate.inserted.fixed_device:
        return None
    return Problem(
        f"{candidate.inserted.path} is a disk that can't be taken out ({name or 'without a name'}).",
        "Name a card reader's device; if it is one, allow it by this name (CARDSHOP_FIXED_DEVICE).",
    )


def not_mounted(candidate: Candidate) -> Problem | None:
    """No file system on it or on a part of it is mounted, in whatever layers."""
    numbers = block_device.with_partitions(candidate.number)
    for mounted, mount_point in block_device.mounted().items():
        if mounted in numbers:
            return Problem(
                f"{candidate.inserted.path} holds a file system that is mounted at {mount_point}.", _UNMOUNT
            )
    return None


def not_swap(candidate: Candidate) -> Problem | None:
    """The host doesn't swap to it."""
    if not block_device.with_partitions(candidate.number) & block_device.swapped():
        return None
    return Problem(f"{candidate.inserted.path} holds swap space in use.", _NOT_A_CARD)


def not_built_on(candidate: Candidate) -> Problem | None:
    """No RAID, volume group, encryption or loop device is built on it, and it is no loop over a device."""
    builders = block_device.users(candidate.number)
    if builders:
        return Problem(f"{candidate.inserted.path} is a part of {', '.join(builders)}.", _NOT_A_CARD)
    if block_device.is_loop_over_device(candidate.number):
        return Problem(f"{candidate.inserted.path} is another name of a disk.", _NOT_A_CARD)
    return None


def no_member(candidate: Candidate) -> Problem | None:
    """It bears no mark of a RAID or a volume group that sleeps."""
    if candidate.descriptor is None or not candidate.number:
        return None
    starts = [0, *block_device.partition_starts(candidate.number)]
    mark = signatures.member_of(candidate.descriptor, candidate.inserted.identity.size_bytes, starts)
    if not mark:
        return None
    return Problem(
        f"{candidate.inserted.path} belongs to a {mark}.",
        "It may hold somebody's data. If it is really a card to be written over: wipefs --all on it.",
    )


def large_enough(candidate: Candidate) -> Problem | None:
    """The image fits."""
    card = candidate.inserted.card
    if card.size_bytes >= candidate.image_bytes:
        return None
    return Problem(
        f"The card {card.serial} has {card.size_bytes} bytes, the image {candidate.image_bytes}.",
        "Put in a larger card.",
    )


def not_too_large(candidate: Candidate) -> Problem | None:
    """A device has the size of the cards that were ordered: a disk in their place is larger."""
    card = candidate.inserted.card
    if not candidate.number or card.size_bytes * 100 <= candidate.image_bytes * LARGEST_PER_CENT:
        return None
    return Problem(
        f"The card {card.serial} has {card.size_bytes} bytes: more than any of the kind ordered.",
        "Put in a card of the size that the order names.",
    )


def not_read_only(candidate: Candidate) -> Problem | None:
    """It can be written to."""
    if candidate.descriptor is None or not block_device.refuses_writes(candidate.descriptor):
        return None
    return Problem(f"The card {candidate.inserted.card.serial} is read-only.", READ_ONLY_HINT)


def one_name(candidate: Candidate) -> Problem | None:
    """A virtual card's file has no other names outside of its slot."""
    if candidate.number or candidate.descriptor is None or os.fstat(candidate.descriptor).st_nlink == 1:
        return None
    return Problem(
        f"The file {candidate.inserted.card.serial} has other names outside of the slot.",
        "Copy it into the slot's folder.",
    )


RULES: tuple[Rule, ...] = (
    slots_own,
    same_card,
    whole_disk,
    removable_or_allowed,
    not_mounted,
    not_swap,
    not_built_on,
    no_member,
    large_enough,
    not_too_large,
    not_read_only,
    one_name,
)


def name_of(rule: Rule) -> str:
    """As refusals and the documentation name it."""
    return rule.__name__.replace("_", "-")


def check(candidate: Candidate) -> None:
    """Asks all rules.

    Raises:
        CardRefused: the first that refuses; ``field`` is its name.
    """
    for rule in RULES:
        if problem := rule(candidate):
            name = name_of(rule)
            raise CardRefused(f"{problem.sentence} (Rule: {name}.)", hint=problem.hint, field=name)
