"""When schedules are due: crontabs around the days on which clocks change, intervals, once; and bad input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardshop.contract.errors import InvalidInput
from scheduler.domain.schedules import JobKind, Timing, Work, check_work
from scheduler.timetable import check_timing, first_run, in_words, next_run, upcoming

NOW = datetime(2026, 2, 10, 12, 0, 30, tzinfo=UTC)
PARIS = "Europe/Paris"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(crontab: str, timezone: str, after: str, count: int) -> list[str]:
    found = upcoming(Timing(crontab=crontab, timezone=timezone), at(after), count)
    return [f"{moment:%m-%d %H:%M}" for moment in found]


def test_a_crontab_runs_at_the_hour_of_its_time_zone_in_winter_and_in_summer() -> None:
    assert times("0 3 1 * *", PARIS, "2026-02-15", 3) == ["03-01 02:00", "04-01 01:00", "05-01 01:00"]
    assert times("0 3 1 * *", "UTC", "2026-02-15", 2) == ["03-01 03:00", "04-01 03:00"]


def test_a_time_that_the_clocks_leave_out_runs_when_they_have_gone_forward() -> None:
    # On 29 March 2026 the clocks of Paris go from 2:00 to 3:00, which is 1:00 UTC.
    assert times("30 2 * * *", PARIS, "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_two_times_in_the_hour_that_is_left_out_run_once() -> None:
    assert times("0,30 2 * * *", PARIS, "2026-03-28T12:00", 2) == ["03-29 01:00", "03-30 00:00"]


def test_a_time_that_comes_twice_runs_the_first_time_only() -> None:
    # On 25 October 2026 the clocks of Paris go from 3:00 back to 2:00, which is 1:00 UTC.
    assert times("30 2 * * *", PARIS, "2026-10-24T00:00", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_a_run_that_ends_in_the_second_pass_of_an_hour_is_not_due_again_that_day() -> None:
    assert times("30 2 * * *", PARIS, "2026-10-25T01:10", 1) == ["10-26 01:30"]


def test_a_crontab_with_a_star_goes_on_by_the_time_that_passes() -> None:
    hours = times("0 * * * *", PARIS, "2026-10-24T23:30", 4)

    assert hours == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]


def test_clocks_that_change_by_half_an_hour_are_followed() -> None:
    # Lord Howe Island goes from 2:00 back to 1:30 on 5 April 2026, which is 15:00 UTC the day before.
    assert times("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T00:00", 3) == [
        "04-03 14:45",
        "04-04 14:45",
        "04-05 15:15",
    ]


@given(
    crontab=st.sampled_from(
        ["30 2 * * *", "*/7 1-3 * * *", "0 0 1 * *", "15 * * * SUN", "59 23 L * *", "0 2 29 2 *"]
    ),
    timezone=st.sampled_from([PARIS, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    minutes=st.integers(0, 3 * 366 * 24 * 60),
)
def test_the_next_time_is_always_to_come(crontab: str, timezone: str, minutes: int) -> None:
    now = NOW + timedelta(minutes=minutes)

    following = next_run(Timing(crontab=crontab, timezone=timezone), now, now)

    assert following is not None
    assert following > now


def test_an_interval_keeps_its_beat_and_leaves_out_what_was_missed() -> None:
    timing = Timing(every_seconds=600)

    assert first_run(timing, NOW) == NOW + timedelta(minutes=10)
    assert next_run(timing, NOW, NOW + timedelta(seconds=3)) == NOW + timedelta(minutes=10)
    assert next_run(timing, NOW, NOW + timedelta(minutes=34)) == NOW + timedelta(minutes=40)


def test_an_interval_that_was_met_to_the_second_is_not_due_at_once_again() -> None:
    timing = Timing(every_seconds=600)

    assert next_run(timing, NOW, NOW) == NOW + timedelta(minutes=10)
    assert next_run(timing, NOW, NOW + timedelta(minutes=10)) > NOW + timedelta(minutes=10)  # type: ignore[operator]


def test_once_is_once() -> None:
    timing = Timing(at=NOW + timedelta(days=1))

    assert first_run(timing, NOW) == timing.at
    assert next_run(timing, NOW + timedelta(days=1), NOW + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("timing", "field", "sentence"),
    [
        (Timing(), "crontab", "exactly one of"),
        (Timing(crontab="* * * * *", every_seconds=60), "every_seconds", "exactly one of"),
        (Timing(every_seconds=60, at=NOW + timedelta(days=1)), "at", "exactly one of"),
        (Timing(crontab="61 * * * *"), "crontab", "minute is wrong"),
        (Timing(crontab="0 24 * * *"), "crontab", "hour is wrong"),
        (Timing(crontab="0 0 0 * *"), "crontab", "day of month is wrong"),
        (Timing(crontab="0 0 1 13 *"), "crontab", "month is wrong"),
        (Timing(crontab="0 0 1 1 MOO"), "crontab", "day of week is wrong"),
        (Timing(crontab="0 0 30 2 *"), "crontab", "day of month is wrong"),
        (Timing(crontab="0 3 * *"), "crontab", "five fields"),
        (Timing(crontab="0 0 3 * * *"), "crontab", "five fields"),
        (Timing(crontab="0 0 * 2 MON#5 "), "", ""),
        (Timing(crontab="0 3 * * *", timezone="Mars/Olympus"), "timezone", "no time zone"),
        (Timing(crontab="0 3 * * *", timezone="../etc/passwd"), "timezone", "no time zone"),
        (Timing(every_seconds=1), "every_seconds", "from 5 to"),
        (Timing(every_seconds=-5), "every_seconds", "from 5 to"),
        (Timing(at=NOW), "at", "has passed"),
    ],
)
def test_bad_timing_names_its_field(timing: Timing, field: str, sentence: str) -> None:
    if not field:
        check_timing(timing, NOW)
        return

    with pytest.raises(InvalidInput) as refused:
        check_timing(timing, NOW)

    assert refused.value.field == field
    assert sentence in refused.value.sentence


@pytest.mark.parametrize(
    ("work", "field"),
    [
        (Work(JobKind.ORDER_RECIPE), "order"),
        (Work(JobKind.CLEAN_LOGS), "days"),
        (Work(JobKind.CLEAN_LOGS, days=-1), "days"),
        (Work(JobKind.CLEAN_LOGS, days=4000), "days"),
        (Work(JobKind.ROTATE_KEYS, days=3), "days"),
        (Work(JobKind.ROTATE_KEYS, catalogue="kiwix"), "catalogue"),
    ],
)
def test_a_kind_takes_what_it_needs_and_nothing_else(work: Work, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_work(work)

    assert refused.value.field == field


def test_a_timing_is_told_in_words() -> None:
    assert in_words(Timing(crontab="0 3 1 * *", timezone=PARIS)) == (
        "at 03:00 on the first day of every month (Europe/Paris)"
    )
    assert in_words(Timing(every_seconds=21600)) == "every 6:00:00 (h:mm:ss)"
    assert in_words(Timing(at=NOW)) == "once, at 2026-02-10 12:00 UTC"
