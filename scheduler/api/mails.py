"""Mails: what was written to whom, what became of it, and what a person decides about it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Paged, Told
from scheduler.api.services import Services
from scheduler.api.tasks import Change
from scheduler.domain import mails as rules
from scheduler.domain.mails import MailKind, MailState
from scheduler.domain.rights import Right
from scheduler.mail.words import subject_of, words_of
from scheduler.shop import mails as shop
from scheduler.shop.accounts import Caller


class MailQuery(Paged):
    """Which mails."""

    state: MailState | None = Field(default=None, description="only those in this state")
    order_id: str | None = Field(default=None, description="only those about this order")


class MailFacts(Told):
    """What is told of a mail wherever it is told of."""

    id: str
    kind: MailKind
    state: MailState
    to: str
    language: str
    subject: str
    order_id: str | None
    created_at: Moment
    sent_at: Moment | None
    tries: int  # since it was written, or since a person asked for it again
    due_at: Moment | None  # of a mail that waits: no try before
    trouble: str  # what the mail server said last, when that was no yes


class MailBrief(MailFacts):
    """A mail in a list."""


class Mail(MailFacts):
    """A mail as its reader gets it."""

    message_id: str  # empty before the first try
    text: str
    html: str
    history: list[Change]


class MailSending(Told):
    """Whether mails can be sent."""

    configured: bool  # false: beat has no mail server; mails are kept
    trouble: str  # why they can't be sent now; empty: they can


class MailListed(Listed[MailBrief]):
    """One page of the mails."""

    sending: MailSending


class MailList(Resource):
    """``/v1/mails``."""

    @operation("List the mails, newest first", Right.READ_MAILS, query=MailQuery, answer=MailListed)
    def get(self, query: MailQuery) -> MailListed:
        """All mails that are kept, sent or not."""
        store = self.services.store.mails
        states = [query.state] if query.state else []
        mails, total = store.page(
            states=states, order_id=query.order_id, skip=query.skip, limit=query.per_page
        )
        configured, trouble = store.sender()
        return MailListed(
            items=[MailBrief(**_facts(mail)) for mail in mails],
            total=total,
            sending=MailSending(configured=configured, trouble=trouble),
        )


class MailItem(Resource):
    """``/v1/mails/{mail_id}``."""

    @operation("Show a mail", Right.READ_MAILS, answer=Mail)
    def get(self, mail_id: str) -> Mail:
        """Its words as they were sent, or as they will be."""
        return _told(self.services, self.services.store.mails.get(mail_id))


class MailResend(Resource):
    """``/v1/mails/{mail_id}/resend``."""

    @operation("Send a mail again that failed or is uncertain", Right.DECIDE_MAILS, answer=Mail)
    def post(self, caller: Caller, mail_id: str) -> Mail:
        """An uncertain mail may arrive a second time; 409 for any other that is not failed."""
        return _told(self.services, shop.send_again(self.services.store, mail_id, who=caller.username))


class MailDismissal(Resource):
    """``/v1/mails/{mail_id}/dismissal``."""

    @operation("Leave a mail unsent for good", Right.DECIDE_MAILS, answer=Mail)
    def post(self, caller: Caller, mail_id: str) -> Mail:
        """It arrived, or is of no use any more; 409 when it is sent or about to be."""
        return _told(self.services, shop.dismiss(self.services.store, mail_id, who=caller.username))


def _told(services: Services, mail: rules.Mail) -> Mail:
    words = mail.words or words_of(mail, services.pages_url)
    return Mail(
        **_facts(mail),
        message_id=mail.message_id,
        text=words.text,
        html=words.html,
        history=[Change.of(change) for change in mail.history],
    )


def _facts(mail: rules.Mail) -> dict[str, Any]:
    sent = [change.at for change in mail.history if change.to_state == MailState.SENT]
    return {
        "id": mail.id,
        "kind": mail.kind,
        "state": mail.state,
        "to": mail.reader.address,
        "language": mail.reader.language,
        "subject": mail.words.subject if mail.words else subject_of(mail),
        "order_id": mail.order_id,
        "created_at": mail.created_at,
        "sent_at": sent[-1] if sent else None,
        "tries": mail.tries,
        "due_at": mail.due_at if mail.state is MailState.WAITING else None,
        "trouble": mail.trouble,
    }
