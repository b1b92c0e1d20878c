"""Mails: who is told of what, and the states between writing a mail and knowing that it is sent. Pure.

A mail is written with the change that it tells of, as facts; the words are put to it when it is sent or read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from scheduler.domain.tasks import Change

LANGUAGES = ("en", "fr", "es")
"""Languages that mails are written in; a reader of another one gets the first."""

LONGEST_HANDING_OVER = timedelta(minutes=3)
"""A mail whose sender has been silent about it for longer is uncertain: that sender is dead."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
"""Pauses between two tries of a mail that the server turned down for now; each is twice the one before."""

GIVE_UP_AFTER = timedelta(days=2)
"""A mail that is turned down for so long is given up."""


class MailKind(StrEnum):
    """What a mail tells."""

    ORDER_ACCEPTED = "order-accepted"  # to the recipient, and to the client that ordered
    IMAGE_READY = "image-ready"  # the recipient of an order without cards may download
    INSERT_CARD = "insert-card"  # to who stands beside the writer
    TAKE_CARD_OUT = "take-card-out"  # to who stands beside the writer
    SHIP_ORDER = "ship-order"  # all cards are verified; to the operator
    ORDER_SHIPPED = "order-shipped"  # to the recipient
    ORDER_FAILED = "order-failed"  # to the operator and the admins, never to the recipient
    ALARM_RAISED = "alarm-raised"  # to the admins
    ALARM_ENDED = "alarm-ended"  # to the admins


class MailState(StrEnum):
    """Where a mail is."""

    WAITING = "waiting"  # for its sender, or for its next try
    HANDING_OVER = "handing-over"  # a sender speaks with the mail server about it
    SENT = "sent"  # the mail server took it
    FAILED = "failed"  # the mail server will not take it
    UNCERTAIN = "uncertain"  # its sender died, or the line broke, after which it may have been taken
    DISMISSED = "dismissed"  # a person decided that it need not be sent


class MailEvent(StrEnum):
    """What can happen to a mail."""

    CLAIM = "claim"  # a sender begins
    TAKEN = "taken"
    TURNED_DOWN = "turned-down"  # for now; or the server went away before it had all of it
    REFUSED = "refused"  # for good
    LOST_SIGHT = "lost-sight"
    RESEND = "resend"  # a person's decision
    DISMISS = "dismiss"  # a person's decision


MAIL_TABLE: dict[tuple[MailState, MailEvent], MailState] = {
    (MailState.WAITING, MailEvent.CLAIM): MailState.HANDING_OVER,
    (MailState.WAITING, MailEvent.REFUSED): MailState.FAILED,  # no words could be put to it
    (MailState.WAITING, MailEvent.DISMISS): MailState.DISMISSED,
    (MailState.HANDING_OVER, MailEvent.TAKEN): MailState.SENT,
    (MailState.HANDING_OVER, MailEvent.TURNED_DOWN): MailState.WAITING,
    (MailState.HANDING_OVER, MailEvent.REFUSED): MailState.FAILED,
    (MailState.HANDING_OVER, MailEvent.LOST_SIGHT): MailState.UNCERTAIN,
    # A sender that was thought dead and was only slow knows better. It never puts the mail back by itself.
    (MailState.UNCERTAIN, MailEvent.TAKEN): MailState.SENT,
    (MailState.UNCERTAIN, MailEvent.REFUSED): MailState.FAILED,
    (MailState.UNCERTAIN, MailEvent.RESEND): MailState.WAITING,
    (MailState.UNCERTAIN, MailEvent.DISMISS): MailState.DISMISSED,
    (MailState.FAILED, MailEvent.RESEND): MailState.WAITING,
    (MailState.FAILED, MailEvent.DISMISS): MailState.DISMISSED,
}
"""(state, event) -> next state; a pair that is not here is refused. Nothing leaves ``sent``."""


@dataclass(frozen=True)
class Reader:
    """Whom a mail goes to."""

    address: str
    language: str  # one of LANGUAGES


@dataclass(frozen=True)
class Words:
    """A mail as its reader gets it."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Mail:
    """A mail as the database keeps it."""

    id: str
    cause: str  # what it tells of, and once: no two mails to one address have the same
    kind: MailKind
    reader: Reader
    facts: Mapping[str, Any]  # what the words are made from; no secret
    created_at: datetime
    order_id: str | None = None
    state: MailState = MailState.WAITING
    due_at: datetime | None = None  # no try before; None: at once
    tries: int = 0  # since it was written, or since a person asked for it again
    tries_since: datetime | None = None
    claimed_by: str = ""  # id of the sender that speaks about it
    claimed_at: datetime | None = None
    message_id: str = ""  # given with the first try, and the same for each
    words: Words | None = None  # as they were sent, or as they will be sent again
    trouble: str = ""  # what the mail server said last, when that was no yes
    history: tuple[Change, ...] = field(default=())


def readers(people: Iterable[tuple[str | None, str]]) -> list[Reader]:
    """Those of ``(address, language)`` that have an address, each address once, in their order."""
    found: dict[str, Reader] = {}
    for address, language in people:
        if address:
            found.setdefault(address.lower(), Reader(address, written_in(language)))
    return list(found.values())


def written_in(language: str) -> str:
    """The language of mails for a reader of ``language`` (ISO 639)."""
    return language if language in LANGUAGES else LANGUAGES[0]


def pause_after(tries: int) -> timedelta:
    """How long a mail rests that was turned down for the ``tries``-th time."""
    return min(FIRST_PAUSE * (1 << min(tries - 1, 20)), LONGEST_PAUSE)
