"""Sends the mails that wait, each once.

A mail is claimed before a word about it is said to the mail server. What the server answers is kept; an
answer that is lost, with the line or with this process, leaves the mail uncertain, and a person decides.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta

import structlog

from beat.smtp import AnswerLost, Line, MailServer, Refused, ServerAway, TurnedDown, message_id
from scheduler.domain.mails import Mail, Words
from scheduler.mail.words import words_of
from scheduler.shop import mails
from scheduler.store.database import DatabaseError
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Time between two looks for mails that are due."""

LONGEST_REST_SECONDS = 60.0
"""Longest pause after the mail server was away; each is twice the one before, from :data:`LOOK_SECONDS`."""

ALARM_AFTER = timedelta(minutes=5)
"""A mail server that is away for longer is an alarm."""


class MailSender(threading.Thread):
    """A thread that sends mails until ``stopped`` is set.

    Args:
        store: whose mails.
        server: where they are handed over; None: they are kept, and shown with a note.
        pages_url: address of the manager's pages, for the links in mails.
        stopped: ends it.
    """

    def __init__(
        self, store: Store, server: MailServer | None, pages_url: str, stopped: threading.Event
    ) -> None:
        super().__init__(name="mails", daemon=True)
        self._store = store
        self._server = server
        self._pages_url = pages_url
        self._stopped = stopped
        self._id = f"beat {uuid.uuid4().hex[:12]}"
        self._works = False  # unproven: wrong settings are told at start, and not with the first mail
        self._failures = 0

    def run(self) -> None:
        """Sends, and begins anew after each failure."""
        rest = 0.0
        while not self._stopped.wait(rest):
            try:
                rest = self.work()
            except DatabaseError as error:
                log.warning("the database does not answer", error=type(error).__name__)
                rest = LOOK_SECONDS
            except Exception:
                log.exception("the sender of mails has a fault; it goes on")
                rest = LONGEST_REST_SECONDS

    def work(self) -> float:
        """Sends what is due; returns the seconds to rest."""
        mails.find_lost(self._store)
        if self._server is None:
            self._store.mails.tell_sender(configured=False)
            return LONGEST_REST_SECONDS
        if self._works and self._store.mails.due() is None:
            return LOOK_SECONDS
        try:
            with self._server.connect() as line:
                self._send_due(line, self._server)
                self._works_again()
        except ServerAway as error:
            return self._rest_after(str(error))
        return LOOK_SECONDS

    def _send_due(self, line: Line, server: MailServer) -> None:
        while not self._stopped.is_set() and (waiting := self._store.mails.due()):
            words = waiting.words or self._words(waiting)
            if words is None:
                continue
            mail = self._store.mails.claim(waiting, self._id, words, message_id(waiting, server.sender))
            if mail is not None:  # else another sender has it
                self._hand_over(line, mail)

    def _words(self, mail: Mail) -> Words | None:
        """The mail's words; one that has a fault fails alone, and holds up no other."""
        try:
            return words_of(mail, self._pages_url)
        except Exception as error:
            log.exception("no words could be put to a mail", id=mail.id, kind=mail.kind)
            mails.refused(self._store, mail, f"Its words could not be put together: {error!r}")
            return None

    def _hand_over(self, line: Line, mail: Mail) -> None:
        store = self._store
        if mail.words is None:
            raise AssertionError("a claimed mail has words")
        try:
            line.hand_over(mail, mail.words)
        except TurnedDown as error:
            self._keep(lambda why: mails.turned_down(store, mail, why), str(error))
        except Refused as error:
            self._keep(lambda why: mails.refused(store, mail, why), str(error))
        except AnswerLost as error:
            self._keep(lambda why: mails.lost_sight(store, mail, why), str(error))
            raise ServerAway(str(error)) from error
        except ServerAway as error:
            self._keep(lambda why: mails.turned_down(store, mail, why), str(error))
            raise
        else:
            self._keep(lambda _: mails.taken(store, mail), "")
            store.health.did("mail-sent")
        self._works_again()

    def _keep(self, work: Callable[[str], object], why: str) -> None:
        """Keeps how a try ended, as soon as the database answers; only this process knows it."""
        while True:
            try:
                work(why)
            except DatabaseError as error:
                log.warning("the database does not answer", error=type(error).__name__)
                if self._stopped.wait(LOOK_SECONDS):
                    return
            else:
                return

    def _works_again(self) -> None:
        if self._works:
            return
        self._works, self._failures = True, 0
        self._store.mails.tell_sender(configured=True)
        mails.server_is_back(self._store)

    def _rest_after(self, why: str) -> float:
        rest = min(LOOK_SECONDS * (1 << min(self._failures, 10)), LONGEST_REST_SECONDS)
        self._works = False
        self._failures += 1
        log.warning("mails can't be sent now", why=why, again_in_seconds=rest)
        since = self._store.mails.tell_trouble(why)
        if self._store.clock() - since > ALARM_AFTER:
            mails.server_is_away(self._store, why)
        return rest
