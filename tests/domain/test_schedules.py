"""Slots: when a job was due."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest

from inventory.domain.schedules import DailyAt, Every, WeeklyAt

NIGHTLY = DailyAt(time(1, 30), "Asia/Jakarta")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (at(2024, 5, 14, 18, 30), at(2024, 5, 14, 18, 30)),
        (at(2024, 5, 14, 18, 29, 59), at(2024, 5, 13, 18, 30)),
        (at(2024, 5, 15, 12, 0), at(2024, 5, 14, 18, 30)),
    ],
)
def test_the_nightly_slot_is_the_last_local_time_that_has_come(now: datetime, slot: datetime) -> None:
    assert NIGHTLY.latest_slot(now) == slot


def test_days_missed_are_counted() -> None:
    slot = NIGHTLY.latest_slot(at(2024, 5, 15, 12, 0))
    assert NIGHTLY.missed(slot - timedelta(days=1), slot) == 0
    assert NIGHTLY.missed(slot - timedelta(days=4), slot) == 3


@pytest.mark.parametrize("day", [at(2024, 3, 30), at(2024, 3, 31), at(2024, 10, 26), at(2024, 10, 27)])
def test_a_clock_change_leaves_one_slot_a_day(day: datetime) -> None:
    berlin = DailyAt(time(2, 30), "Europe/Berlin")
    seen = {berlin.latest_slot(day + timedelta(minutes=5 * step)) for step in range(48 * 12)}
    assert len(seen) == 3
    assert all(berlin.missed(a, b) == 0 for a, b in zip(sorted(seen), sorted(seen)[1:], strict=False))


def test_slots_at_a_distance_are_the_same_for_everybody() -> None:
    every = Every(90)
    now = at(2024, 5, 15, 12, 0, 7)
    assert every.latest_slot(now) == every.latest_slot(now + timedelta(seconds=10))
    assert every.latest_slot(now + timedelta(seconds=90)) - every.latest_slot(now) == timedelta(seconds=90)
    assert every.missed(every.latest_slot(now), every.latest_slot(now + timedelta(seconds=300))) == 2


SUNDAYS = WeeklyAt(6, time(1, 30), "Asia/Jakarta")


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (at(2024, 5, 11, 18, 30), at(2024, 5, 11, 18, 30)),  # 01:30 on Sunday the 12th in Jakarta
        (at(2024, 5, 11, 18, 29, 59), at(2024, 5, 4, 18, 30)),
        (at(2024, 5, 12, 17, 30), at(2024, 5, 11, 18, 30)),  # already Monday there
        (at(2024, 5, 18, 12, 0), at(2024, 5, 11, 18, 30)),
    ],
)
def test_the_weekly_slot_is_the_last_local_sunday_that_has_come(now: datetime, slot: datetime) -> None:
    assert SUNDAYS.latest_slot(now) == slot


def test_weeks_missed_are_counted() -> None:
    slot = SUNDAYS.latest_slot(at(2024, 5, 15))
    assert [SUNDAYS.missed(slot - timedelta(weeks=weeks), slot) for weeks in (1, 2, 5)] == [0, 1, 4]


@pytest.mark.parametrize("day", [at(2024, 3, 31), at(2024, 10, 27)])
def test_a_clock_change_leaves_one_slot_a_week(day: datetime) -> None:
    berlin = WeeklyAt(6, time(2, 30), "Europe/Berlin")
    start = day - timedelta(days=10)
    seen = sorted({berlin.latest_slot(start + timedelta(hours=step)) for step in range(24 * 21)})
    assert len(seen) == 4
    assert all(berlin.missed(a, b) == 0 for a, b in pairwise(seen))


BERLIN = DailyAt(time(2, 30), "Europe/Berlin")


def test_the_time_that_a_spring_night_skips_is_taken_as_if_the_clock_had_not_changed() -> None:
    """02:30 of 31 March 2024 does not exist in Berlin: the slot is 01:30 UTC, when the clocks there show 03:30."""
    assert BERLIN.slot_of(date(2024, 3, 30)) == at(2024, 3, 30, 1, 30)
    assert BERLIN.slot_of(date(2024, 3, 31)) == at(2024, 3, 31, 1, 30)
    assert BERLIN.slot_of(date(2024, 4, 1)) == at(2024, 4, 1, 0, 30)
    assert BERLIN.latest_slot(at(2024, 3, 31, 1, 29, 59)) == at(2024, 3, 30, 1, 30)


def test_of_a_time_that_an_autumn_night_repeats_the_first_counts() -> None:
    """02:30 of 27 October 2024 comes twice in Berlin: at 00:30 UTC and again at 01:30 UTC."""
    slot = at(2024, 10, 27, 0, 30)
    assert BERLIN.slot_of(date(2024, 10, 27)) == slot
    assert BERLIN.latest_slot(at(2024, 10, 27, 1, 30)) == slot
    assert BERLIN.latest_slot(at(2024, 10, 28, 1, 29)) == slot
    assert BERLIN.next_slot(slot) == at(2024, 10, 28, 1, 30)


@pytest.mark.parametrize(
    ("zone", "hour"), [("Asia/Jakarta", 18), ("Asia/Makassar", 17), ("Asia/Jayapura", 16), ("Asia/Pontianak", 18)]
)
def test_each_of_the_countrys_zones_has_its_own_night(zone: str, hour: int) -> None:
    nightly = DailyAt(time(1, 30), zone)
    assert nightly.slot_of(date(2024, 5, 15)) == at(2024, 5, 14, hour, 30)
    assert nightly.latest_slot(at(2024, 5, 14, hour, 30)) == at(2024, 5, 14, hour, 30)
    assert nightly.latest_slot(at(2024, 5, 14, hour, 29, 59)) == at(2024, 5, 13, hour, 30)


@pytest.mark.parametrize("schedule", [NIGHTLY, BERLIN, WeeklyAt(6, time(2, 30), "Europe/Berlin"), SUNDAYS, Every(5400)])
@pytest.mark.parametrize("start", [at(2024, 3, 25), at(2024, 10, 21), at(2024, 5, 15, 0, 0, 7)])
def test_the_next_slot_is_the_one_that_comes(schedule: DailyAt | WeeklyAt | Every, start: datetime) -> None:
    for hour in range(24 * 16):
        now = start + timedelta(hours=hour)
        following = schedule.next_slot(now)
        assert schedule.latest_slot(now) <= now < following
        assert schedule.latest_slot(following) == following
        assert schedule.latest_slot(following - timedelta(seconds=1)) == schedule.latest_slot(now)
        assert schedule.missed(schedule.latest_slot(now), following) == 0
