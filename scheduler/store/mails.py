"""The collection ``mails``: the outbox of mails, and the record of what was sent.

A mail is written in the transaction of the change that it tells of. Its state moves by compare-and-set, by
the table in :mod:`scheduler.domain.mails`: a sender that claims it is the only one that hands it over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId

from cardshop.contract.errors import NotFound
from scheduler.domain.mails import MAIL_TABLE, Mail, MailEvent, MailKind, MailState, Reader, Words
from scheduler.store.database import Clock, Collection, Database, Document, Session, to_document
from scheduler.store.tasks import history

KEPT_SECONDS = 180 * 24 * 3600
"""A mail that is sent or dismissed is dropped after this long: it holds a person's address."""


class Mails:
    """Mails, and what the sender last told of itself."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._mails: Collection[Document] = database["mails"]
        self._sender: Collection[Document] = database["mail_sender"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._mails.create_index([("cause", 1), ("reader.address", 1)], unique=True)
        self._mails.create_index([("state", 1), ("due_at", 1)])
        self._mails.create_index("order_id")
        self._mails.create_index("settled_at", expireAfterSeconds=KEPT_SECONDS)

    def add(self, mails: Iterable[Mail], session: Session = None) -> None:
        """Stores new mails. One whose cause was told to its reader already is not stored again."""
        for mail in mails:
            document = to_document(mail)
            del document["_id"]
            self._mails.update_one(
                {"cause": mail.cause, "reader.address": mail.reader.address},
                {"$setOnInsert": {**document, "due_at": mail.due_at or mail.created_at}},
                upsert=True,
                session=session,
            )

    def get(self, mail_id: str, session: Session = None) -> Mail:
        """The mail. Raises NotFound."""
        document = self._mails.find_one({"_id": _object_id(mail_id)}, session=session)
        if document is None:
            raise NotFound(f"There is no mail {mail_id}.")
        return _mail(document)

    def due(self) -> Mail | None:
        """The mail that waits longest for its turn, not claimed yet."""
        document = self._mails.find_one(
            {"state": MailState.WAITING, "due_at": {"$lte": self._clock()}}, sort=[("due_at", 1), ("_id", 1)]
        )
        return _mail(document) if document else None

    def claim(self, mail: Mail, sender: str, words: Words, message_id: str) -> Mail | None:
        """Makes ``sender`` the one that hands the mail over; None when another was first."""
        now = self._clock()
        return self._move(
            mail,
            MailEvent.CLAIM,
            who=sender,
            set_fields={
                "claimed_by": sender,
                "claimed_at": now,
                "words": to_plain(words),
                "message_id": mail.message_id or message_id,
                "tries": mail.tries + 1,
                "tries_since": mail.tries_since or now,
            },
        )

    def settle(
        self,
        mail: Mail,
        event: MailEvent,
        why: str,
        *,
        due_at: datetime | None = None,
        session: Session = None,
    ) -> Mail | None:
        """Keeps how the sender's try ended; None when the mail is not this sender's any more.

        Args:
            mail: as :meth:`claim` gave it.
            event: how the try ended.
            why: what the mail server said.
            due_at: of a mail that was turned down, when to try it again.
            session: the transaction that it is part of.
        """
        fields: Document = {"trouble": "" if event is MailEvent.TAKEN else why}
        if due_at:
            fields["due_at"] = due_at
        return self._move(mail, event, who=mail.claimed_by, why=why, set_fields=fields, session=session)

    def decide(self, mail: Mail, event: MailEvent, *, who: str, session: Session = None) -> Mail | None:
        """A person's decision; None when the mail has moved on meanwhile."""
        fields: Document = {}
        if event is MailEvent.RESEND:
            fields = {"due_at": self._clock(), "tries": 0, "tries_since": None, "claimed_by": ""}
        return self._move(mail, event, who=who, set_fields=fields, session=session)

    def handing_over_since(self, moment: datetime) -> list[Mail]:
        """Mails whose sender began before ``moment`` and has not said how it ended."""
        found = self._mails.find({"state": MailState.HANDING_OVER, "claimed_at": {"$lt": moment}})
        return [_mail(document) for document in found]

    def page(
        self,
        *,
        states: Iterable[MailState] = (),
        order_id: str | None = None,
        skip: int = 0,
        limit: int = 50,
    ) -> tuple[list[Mail], int]:
        """Mails, newest first, and how many there are."""
        query: Document = {}
        if wanted := [state.value for state in states]:
            query["state"] = {"$in": wanted}
        if order_id:
            query["order_id"] = order_id
        found = self._mails.find(query).sort("_id", -1).skip(skip).limit(limit)
        return [_mail(document) for document in found], self._mails.count_documents(query)

    def tell_sender(self, *, configured: bool) -> None:
        """The sender says whether it has a mail server; one that it has works now."""
        state = {"configured": configured, "trouble": "", "trouble_since": None}
        self._sender.update_one({"_id": "sender"}, {"$set": state}, upsert=True)

    def tell_trouble(self, why: str) -> datetime:
        """The sender says why it can't send now. Returns since when it can't."""
        now = self._clock()
        state = {"configured": True, "trouble": why}
        self._sender.update_one({"_id": "sender"}, {"$set": state}, upsert=True)
        self._sender.update_one({"_id": "sender", "trouble_since": None}, {"$set": {"trouble_since": now}})
        told = self._sender.find_one({"_id": "sender"}) or {}
        return told.get("trouble_since") or now

    def sender(self) -> tuple[bool, str]:
        """Whether there is a mail server, and why mails can't be sent now (empty: they can)."""
        told = self._sender.find_one({"_id": "sender"}) or {"configured": False, "trouble": ""}
        return told["configured"], told["trouble"]

    def _move(
        self,
        mail: Mail,
        event: MailEvent,
        *,
        who: str,
        why: str = "",
        set_fields: Document,
        session: Session = None,
    ) -> Mail | None:
        """The mail after ``event``; None when the table refuses it or somebody else moved it."""
        now = self._clock()
        while (state := MAIL_TABLE.get((mail.state, event))) is not None:
            line = {
                "at": now,
                "who": who,
                "event": event.value,
                "from_state": mail.state.value,
                "to_state": state.value,
                "why": why,
            }
            settled = {"settled_at": now} if state in (MailState.SENT, MailState.DISMISSED) else {}
            moved = self._mails.find_one_and_update(
                {
                    "_id": _object_id(mail.id),
                    "state": mail.state.value,
                    "claimed_by": mail.claimed_by,
                    "claimed_at": mail.claimed_at,
                },
                {"$set": {**set_fields, **settled, "state": state.value}, "$push": {"history": line}},
                return_document=True,
                session=session,
            )
            if moved is not None:
                return _mail(moved)
            # Given up as lost by the sweep while its sender still spoke: the claim is the same one.
            there = self.get(mail.id, session)
            if (there.claimed_by, there.claimed_at) != (mail.claimed_by, mail.claimed_at):
                return None
            mail = there
        return None


def to_plain(words: Words) -> Document:
    """A mail's words as the document has them."""
    return {"subject": words.subject, "text": words.text, "html": words.html}


def _object_id(mail_id: str) -> ObjectId:
    try:
        return ObjectId(mail_id)
    except InvalidId:
        raise NotFound(f"There is no mail {mail_id}.") from None


def _mail(document: Document) -> Mail:
    fields: dict[str, Any] = {
        key: value for key, value in document.items() if key not in ("_id", "settled_at")
    }
    return Mail(
        **{
            **fields,
            "id": str(document["_id"]),
            "kind": MailKind(document["kind"]),
            "state": MailState(document["state"]),
            "reader": Reader(**document["reader"]),
            "words": Words(**document["words"]) if document["words"] else None,
            "history": history(document["history"]),
        }
    )
