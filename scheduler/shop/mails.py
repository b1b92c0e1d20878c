"""What becomes of a mail: its sender tells how a try ended; a person decides about what nobody can know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog

from cardshop.contract.errors import Conflict
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import (
    GIVE_UP_AFTER,
    LONGEST_HANDING_OVER,
    Mail,
    MailEvent,
    MailState,
    pause_after,
)
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

_UNSENT = AlarmKind.MAIL_UNSENT

SERVER = "mail server"
"""Subject of the alarm about it."""


def taken(store: Store, mail: Mail) -> None:
    """The mail server took it."""
    _settle(store, mail, MailEvent.TAKEN, "")


def turned_down(store: Store, mail: Mail, why: str) -> None:
    """The mail server doesn't have it: it is tried again later, or given up after two days."""
    now = store.clock()
    if mail.tries_since and now - mail.tries_since > GIVE_UP_AFTER:
        days = GIVE_UP_AFTER / timedelta(days=1)
        _settle(store, mail, MailEvent.REFUSED, f"Turned down for {days:.0f} days. {why}")
        return
    store.mails.settle(mail, MailEvent.TURNED_DOWN, why, due_at=now + pause_after(mail.tries))


def refused(store: Store, mail: Mail, why: str) -> None:
    """The mail server will never take it."""
    _settle(store, mail, MailEvent.REFUSED, why)


def lost_sight(store: Store, mail: Mail, why: str) -> None:
    """Nobody knows whether the mail server took it. It is not sent again by itself."""
    _settle(store, mail, MailEvent.LOST_SIGHT, why)


def find_lost(store: Store) -> int:
    """Marks the mails whose sender died while it handed them over; returns how many."""
    lost = store.mails.handing_over_since(store.clock() - LONGEST_HANDING_OVER)
    for mail in lost:
        lost_sight(store, mail, "Its sender ended while it spoke with the mail server.")
    return len(lost)


def send_again(store: Store, mail_id: str, *, who: str) -> Mail:
    """A person wants a mail sent that failed or may have arrived.

    Raises:
        Conflict: it waits, is being sent, or is sent.
        NotFound: there is no such mail.
    """
    return _decide(store, mail_id, MailEvent.RESEND, who=who)


def dismiss(store: Store, mail_id: str, *, who: str) -> Mail:
    """A person says that a mail need not be sent: it arrived, or is of no use any more.

    Raises:
        Conflict: it is being sent, or is sent.
        NotFound: there is no such mail.
    """
    return _decide(store, mail_id, MailEvent.DISMISS, who=who)


def server_is_away(store: Store, why: str) -> None:
    """No mail can be sent for longer than a moment."""
    sentence = f"Mails wait: {why}"
    raise_alarm(store, kind=AlarmKind.MAIL_SERVER_AWAY, subject=SERVER, sentence=sentence)


def server_is_back(store: Store) -> None:
    """Mails can be sent."""
    end_alarm(store, kind=AlarmKind.MAIL_SERVER_AWAY, subject=SERVER)


def _settle(store: Store, mail: Mail, event: MailEvent, why: str) -> None:
    """Keeps how a try ended; an alarm tells of what a person must decide."""

    def work(session: Any) -> Mail | None:
        settled = store.mails.settle(mail, event, why, session=session)
        if settled is None:
            return None
        if settled.state in (MailState.FAILED, MailState.UNCERTAIN):
            what = "was refused" if settled.state is MailState.FAILED else "may or may not have been sent"
            sentence = f"A mail to {mail.reader.address} {what}: {why}"
            raise_alarm(store, kind=_UNSENT, subject=mail.id, sentence=sentence, session=session)
        else:
            end_alarm(store, kind=_UNSENT, subject=mail.id, session=session)
        return settled

    settled = store.transaction(work)
    if settled:
        log.info("mail", id=mail.id, kind=mail.kind, order=mail.order_id, state=settled.state, why=why)


def _decide(store: Store, mail_id: str, event: MailEvent, *, who: str) -> Mail:
    def work(session: Any) -> Mail:
        mail = store.mails.get(mail_id, session)
        decided = store.mails.decide(mail, event, who=who, session=session)
        if decided is None:
            raise Conflict(f"The mail is {mail.state}: there is nothing to decide about it.")
        end_alarm(store, kind=_UNSENT, subject=mail_id, session=session)
        return decided

    return store.transaction(work)
