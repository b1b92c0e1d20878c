"""Raising and ending alarms; the admins are told by mail of both, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from scheduler.domain.alarms import AlarmKind
from scheduler.shop import notices
from scheduler.store.store import Store

log = structlog.get_logger(__name__)


def raise_alarm(store: Store, *, kind: AlarmKind, subject: str, sentence: str, session: Any = None) -> bool:
    """Opens an alarm about ``subject``; True only for the call that did, so that people are told once."""
    if session is None and store.alarms.is_open(kind, subject):
        return False

    def work(session: Any) -> bool:
        raised = store.alarms.raise_once(kind, subject, sentence, session)
        if raised:
            notices.alarm_raised(store, kind, subject, sentence, session)
        return raised

    raised = _together(store, work, session)
    if raised:
        log.warning("alarm", kind=kind, subject=subject, why=sentence)
    return raised


def end_alarm(store: Store, *, kind: AlarmKind, subject: str, session: Any = None) -> bool:
    """The cause is gone; True only for the call that ended an open alarm."""
    if session is None and not store.alarms.is_open(kind, subject):
        return False

    def work(session: Any) -> bool:
        ended = store.alarms.end(kind, subject, session)
        if ended:
            notices.alarm_ended(store, kind, subject, session)
        return ended

    ended = _together(store, work, session)
    if ended:
        log.info("alarm ended", kind=kind, subject=subject)
    return ended


def _together(store: Store, work: Callable[[Any], bool], session: Any) -> bool:
    """``work`` in the caller's transaction, or in one of its own."""
    return store.transaction(work) if session is None else work(session)
