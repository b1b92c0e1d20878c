"""Enrolment of a host of writers: a code, good once, lets the host make its writers' accounts.

Whoever sets up a host types the code instead of passwords. The host makes the passwords itself: no answer of
the API holds one. The code is told once, to who asked for it; kept is its hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cardshop.contract.errors import Conflict, InvalidInput, NotAuthenticated
from cardshop.contract.names import SLOT_NAME

CODE_LIFE = timedelta(hours=1)
MOST_WRITERS = 32
"""Of one host; more slots than one computer feeds at a card's speed."""

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and letters that nobody takes for each other: five bits each."""

GROUPS, GROUP_LENGTH = 4, 4
"""80 bits in four groups: short enough to type, too many to guess within an hour."""

_HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class Enrolment:
    """What a code is good for, and what became of it."""

    host: str  # begins the names of the writers' accounts
    writers: int  # at most
    made_by: str
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    usernames: tuple[str, ...] = ()  # of the accounts that were made with it

    def state(self, now: datetime) -> str:
        """``open``, ``used`` or ``expired``."""
        if self.used_at:
            return "used"
        return "open" if now < self.expires_at else "expired"


def begin(host: str, writers: int, *, who: str, now: datetime) -> Enrolment:
    """A new enrolment of a host. Raises InvalidInput."""
    if not _HOST.fullmatch(host):
        raise InvalidInput(
            "A host's name has 1 to 32 small letters, digits and hyphens.",
            hint="Such as rack-1.",
            field="host",
        )
    if not 1 <= writers <= MOST_WRITERS:
        raise InvalidInput(f"A host has 1 to {MOST_WRITERS} writers.", field="writers")
    return Enrolment(host, writers, who, now, now + CODE_LIFE)


def new_code(choose: Callable[[str], str]) -> str:
    """A code such as ``7KQM-…``. ``choose`` takes one character of a text, unpredictably."""
    groups = ("".join(choose(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def canonical(code: str) -> str:
    """The code as it was made, however a person typed it: small letters, spaces, no hyphens."""
    return re.sub(r"[\s-]", "", code).upper()


def username(host: str, slot: str) -> str:
    """The account of the writer of a slot."""
    return f"{host}-{slot.lower()}"


def good(enrolment: Enrolment | None, now: datetime) -> Enrolment:
    """What a code is good for. Raises NotAuthenticated: unknown, used or expired alike."""
    if enrolment is None or enrolment.state(now) != "open":
        raise NotAuthenticated(
            "This code is not good, or not any more.",
            hint="A code is good once, and for an hour. The manager gives a new one: Workers, Enrol a host.",
        )
    return enrolment


def accounts_for(enrolment: Enrolment, slots: Sequence[str]) -> dict[str, str]:
    """The account of each slot's writer.

    Raises:
        InvalidInput: the slots have wrong names, or are more than the code is good for.
    """
    if not 1 <= len(slots) <= enrolment.writers:
        raise InvalidInput(
            f"The code is good for {enrolment.writers} writers, not for {len(slots)}.",
            hint="Ask for a code for as many as this host has slots.",
            field="writers",
        )
    for number, slot in enumerate(slots):
        if not SLOT_NAME.fullmatch(slot):
            raise InvalidInput(
                "A slot's name has 1 to 16 letters, digits or hyphens.", field=f"writers[{number}].slot"
            )
    found = {slot: username(enrolment.host, slot) for slot in slots}
    if len(set(found.values())) < len(slots):
        raise same_name()
    return found


def same_name() -> InvalidInput:
    """The error that two slots have one name."""
    return InvalidInput("Two slots have the same name.", hint="A and a are one.", field="writers")


def check_may_take(name: str, *, exists: bool, made_for_host: bool, locked: bool) -> None:
    """Passes when an enrolment may make this account, or give it a new password.

    A host that is set up again takes its own accounts again, and nobody else's.

    Raises:
        Conflict: it is another's, or an admin has locked it.
    """
    if exists and not made_for_host:
        raise Conflict(
            f"There is a user {name} already, who was not enrolled with this host.",
            hint="Give the host another name.",
            field="host",
        )
    if locked:
        raise Conflict(f"The account {name} is locked.", hint="An admin unlocks it in the manager: Users.")
