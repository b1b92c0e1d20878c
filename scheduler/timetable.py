"""When a schedule is due: crontabs in their time zone, intervals, and once.

A crontab that names its hours follows Debian's cron where the clocks change: a time that is left out runs
when the clocks have gone forward, a time that comes twice runs the first time only. One with ``*`` in its
minutes or hours runs by the time that passes.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from cardshop.contract.errors import InvalidInput
from scheduler.domain.schedules import LEAST_SECONDS, MOST_SECONDS, Timing

CRONTAB_FIELDS = 5
LONGEST_CRONTAB = 200

_HINT = "Five fields: minute, hour, day of month, month, weekday; 0 3 1 * * is 3:00 on each month's first."


def check_timing(timing: Timing, now: datetime) -> None:
    """Checks that the timing is one of the three kinds, and will come.

    Raises:
        InvalidInput: with the field.
    """
    given = [
        name
        for name, value in (
            ("crontab", timing.crontab),
            ("every_seconds", timing.every_seconds),
            ("at", timing.at),
        )
        if value
    ]
    if len(given) != 1:
        raise InvalidInput(
            "A schedule has exactly one of crontab, every_seconds and at.",
            field=given[1] if given else "crontab",
        )
    if timing.timezone not in zoneinfo.available_timezones():
        raise InvalidInput(
            f"There is no time zone {timing.timezone}.",
            hint="Use a name of the tz database, as Europe/Paris or UTC.",
            field="timezone",
        )
    if timing.crontab:
        _check_crontab(timing, now)
    elif timing.at is None:
        _check_interval(timing.every_seconds)
    elif timing.at <= now:
        raise InvalidInput("This moment has passed.", hint="Give one that is to come.", field="at")


def first_run(timing: Timing, now: datetime) -> datetime | None:
    """When a schedule that is new now is due first."""
    if timing.every_seconds:
        return now + timedelta(seconds=timing.every_seconds)
    return timing.at or _next_of_crontab(timing, now)


def next_run(timing: Timing, due: datetime, now: datetime) -> datetime | None:
    """When it is due after the run that was due at ``due`` and begins ``now``; those between are left out."""
    if timing.every_seconds:
        step = timedelta(seconds=timing.every_seconds)
        return due + step * ((now - due) // step + 1)
    return None if timing.at else _next_of_crontab(timing, now)


def upcoming(timing: Timing, after: datetime, count: int) -> list[datetime]:
    """The next times after one of them."""
    times: list[datetime] = []
    last: datetime | None = after
    while len(times) < count and last is not None:
        last = next_run(timing, last, last)
        if last is not None:
            times.append(last)
    return times


def in_words(timing: Timing) -> str:
    """The timing as a person says it, in English."""
    if timing.at:
        return f"once, at {timing.at:%Y-%m-%d %H:%M} UTC"
    if timing.every_seconds:
        return f"every {timedelta(seconds=timing.every_seconds)} (h:mm:ss)"
    words = CronSim(timing.crontab, datetime.now(UTC)).explain()
    return f"{words[0].lower()}{words[1:]} ({timing.timezone})"


def _next_of_crontab(timing: Timing, after: datetime) -> datetime | None:
    moments = CronSim(timing.crontab, after.astimezone(zoneinfo.ZoneInfo(timing.timezone)))
    # In an hour that comes twice the library answers with its first pass, which is over in the second.
    comes = (moment.astimezone(UTC) for moment in moments)
    return next((moment for moment in comes if moment > after), None)


def _check_crontab(timing: Timing, now: datetime) -> None:
    if len(timing.crontab.split()) != CRONTAB_FIELDS or len(timing.crontab) > LONGEST_CRONTAB:
        raise InvalidInput("The crontab does not have five fields.", hint=_HINT, field="crontab")
    try:
        comes = _next_of_crontab(timing, now) is not None
    except CronSimError as error:
        part = str(error).removeprefix("Bad ").replace("-", " ")
        raise InvalidInput(f"The crontab's {part} is wrong.", hint=_HINT, field="crontab") from None
    if not comes:
        raise InvalidInput("This day never comes.", hint=_HINT, field="crontab")


def _check_interval(seconds: int) -> None:
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise InvalidInput(
            f"An interval is from {LEAST_SECONDS} to {MOST_SECONDS} seconds.", field="every_seconds"
        )
