"""Monitors: what each tells of how it keeps up, and the alarm when none does."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.domain.alarms import AlarmKind
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.store.monitors import Reading
from scheduler.store.store import Store

LAGGING_SECONDS = 30.0
"""Events that are folded so late, while others wait behind them, are an alarm."""

CAUGHT_UP_SECONDS = 5.0
"""With a lag below this the alarm ends."""

ALARM_SUBJECT = "events"


@dataclass(frozen=True)
class EventMetrics:
    """How the shop keeps up with what its workers tell."""

    queue_length: int  # events that wait
    lag_seconds: float  # the largest of the monitors that are there
    dead_letters: int  # that wait for a decision


def note(store: Store, reading: Reading) -> None:
    """Keeps what a monitor tells of itself."""
    store.monitors.put(reading)
    # An old event in an empty queue waited at its worker, not here.
    if reading.lag_seconds > LAGGING_SECONDS and reading.queue_length:
        sentence = f"Events are folded {reading.lag_seconds:.0f} s late; {reading.queue_length} wait."
        raise_alarm(store, kind=AlarmKind.MONITOR_LAGGING, subject=ALARM_SUBJECT, sentence=sentence)
    elif reading.lag_seconds < CAUGHT_UP_SECONDS:
        end_alarm(store, kind=AlarmKind.MONITOR_LAGGING, subject=ALARM_SUBJECT)


def metrics(store: Store) -> EventMetrics:
    """The three numbers that tell whether anything waits."""
    readings = [seen.reading for seen in store.monitors.every() if not seen.silent]
    return EventMetrics(
        queue_length=max((reading.queue_length for reading in readings), default=0),
        lag_seconds=max((reading.lag_seconds for reading in readings), default=0.0),
        dead_letters=store.dead_letters.waiting(),
    )
