"""Raising and ending alarms: the one place to hook in who is told of them."""

from __future__ import annotations

from typing import Any

import structlog

from scheduler.domain.alarms import AlarmKind
from scheduler.store.store import Store

log = structlog.get_logger(__name__)


def raise_alarm(store: Store, *, kind: AlarmKind, subject: str, sentence: str, session: Any = None) -> bool:
    """Opens an alarm about ``subject``; True only for the call that did, so that people are told once."""
    raised = store.alarms.raise_once(kind, subject, sentence, session)
    if raised:
        log.warning("alarm", kind=kind, subject=subject, why=sentence)
    return raised


def end_alarm(store: Store, *, kind: AlarmKind, subject: str, session: Any = None) -> bool:
    """The cause is gone; True only for the call that ended an open alarm."""
    ended = store.alarms.end(kind, subject, session)
    if ended:
        log.info("alarm ended", kind=kind, subject=subject)
    return ended
