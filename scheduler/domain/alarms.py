"""Alarms: what a person must look at. One is open for a subject, however often its cause is seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmKind(StrEnum):
    """What is wrong."""

    WORKER_SILENT = "worker-silent"  # subject: the worker's user name
    SLOT_SILENT = "slot-silent"  # subject: "<worker>/<slot>"
    MONITOR_SILENT = "monitor-silent"  # nobody folds events; subject: "monitor"
    MESSAGE_REFUSED = "message-refused"  # no queue takes a message; subject: its task's id
    SCHEDULE_FAILED = "schedule-failed"  # no try of a run was good; subject: the schedule's id
    MONITOR_LAGGING = "monitor-lagging"  # events are folded late; subject: "events"
    DEAD_LETTERS = "dead-letters"  # messages wait for an admin's decision; subject: "dead letters"
    MAIL_UNSENT = "mail-unsent"  # refused, or it isn't known whether it was sent; subject: the mail's id
    MAIL_SERVER_AWAY = "mail-server-away"  # no mail can be sent; subject: "mail server"
    TASK_GIVEN_UP = "task-given-up"  # each automatic attempt ended in silence; subject: the task's id


@dataclass(frozen=True)
class Alarm:
    """One alarm, from the moment its cause was seen to the one when it was gone."""

    id: str
    kind: AlarmKind
    subject: str
    sentence: str
    raised_at: datetime
    ended_at: datetime | None = None
