"""When a job is late, failed, or ran ahead of the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from inventory.domain.alerts import Level
from inventory.domain.schedules import DailyAt, Every, WeeklyAt
from inventory.domain.watchers import GRACE, MAX_ATTEMPTS, Judgement, Record, Watched, judge, judge_chore

NIGHTLY = Watched("review", DailyAt(time(1, 30), "Asia/Jakarta"))
GOOD = datetime(2024, 5, 14, 18, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def judged(now: datetime, job: Watched = NIGHTLY, **known: Any) -> Judgement:
    record: dict[str, Any] = {"good_slot": GOOD, "good_at": GOOD, "failed_attempts": 0, "known_since": None}
    return judge(job, Record(**record | known), now)


def test_a_job_is_late_from_its_period_and_grace_on_and_not_before() -> None:
    deadline = GOOD + timedelta(days=1) + GRACE
    assert judged(deadline - SECOND) == Judgement(level=Level.OK, late_since=None, missed=1, clock_was_ahead=False)
    assert judged(deadline) == Judgement(level=Level.CRITICAL, late_since=deadline, missed=1, clock_was_ahead=False)
    assert judged(deadline + timedelta(days=3)).missed == 4


@pytest.mark.parametrize(
    ("schedule", "period"),
    [
        (WeeklyAt(6, time(1, 30), "Asia/Jakarta"), timedelta(weeks=1)),
        (Every(90), timedelta(seconds=90)),
    ],
)
def test_the_period_is_the_schedules(schedule: WeeklyAt | Every, period: timedelta) -> None:
    job = Watched("job", schedule)
    good = schedule.latest_slot(GOOD)
    assert judged(good + period + GRACE - SECOND, job, good_slot=good).level is Level.OK
    assert judged(good + period + GRACE, job, good_slot=good).level is Level.CRITICAL


@pytest.mark.parametrize(
    ("attempts", "level"),
    [(0, Level.OK), (1, Level.WATCH), (MAX_ATTEMPTS - 1, Level.WATCH), (MAX_ATTEMPTS, Level.CRITICAL)],
)
def test_tries_that_failed_are_watched_and_a_slot_given_up_is_critical(attempts: int, level: Level) -> None:
    found = judged(GOOD + timedelta(days=1, minutes=5), failed_attempts=attempts)
    assert (found.level, found.late_since) == (level, None)


def test_a_job_that_never_ran_is_late_a_grace_after_it_could_have() -> None:
    never: dict[str, Any] = {"good_slot": None, "good_at": None}
    assert judged(GOOD, **never, known_since=None).level is Level.OK
    assert judged(GOOD + GRACE - SECOND, **never, known_since=GOOD).level is Level.OK
    found = judged(GOOD + GRACE, **never, known_since=GOOD)
    assert (found.level, found.late_since, found.missed) == (Level.CRITICAL, GOOD + GRACE, 0)


def test_a_run_of_a_day_that_has_not_come_is_watched_and_a_few_minutes_are_not() -> None:
    now = GOOD + timedelta(hours=1)
    ahead = judged(now, ahead=GOOD + timedelta(days=1))
    assert (ahead.level, ahead.clock_was_ahead) == (Level.WATCH, True)
    near = judged(now, ahead=now + timedelta(minutes=5))
    assert (near.level, near.clock_was_ahead) == (Level.OK, False)


def test_a_week_of_a_clock_set_back_is_late_though_a_run_lies_ahead() -> None:
    found = judged(GOOD + timedelta(days=2), ahead=GOOD + timedelta(days=365))
    assert (found.level, found.clock_was_ahead) == (Level.CRITICAL, True)


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 30, 23), (10, 26, 25)])
def test_a_night_of_a_clock_change_is_as_long_as_it_is(month: int, day: int, hours: int) -> None:
    """Berlin's last Sunday of March is 23 hours long, that of October 25."""
    berlin = Watched("review", DailyAt(time(1, 30), "Europe/Berlin"))
    good = berlin.schedule.latest_slot(datetime(2024, month, day, 12, tzinfo=UTC))
    deadline = judged(good + timedelta(days=3), berlin, good_slot=good).late_since
    assert deadline == good + timedelta(hours=24) + GRACE, "01:30 comes before the change"
    after = berlin.schedule.next_slot(good)
    deadline = judged(after + timedelta(days=3), berlin, good_slot=after).late_since
    assert deadline == after + timedelta(hours=hours) + GRACE


def test_a_chore_is_late_for_want_of_a_good_round_or_for_what_waits_whichever_is_first() -> None:
    chore = Watched("chore", Every(10), grace=timedelta(minutes=30))
    good = chore.schedule.latest_slot(GOOD)
    record = Record(good_slot=good, good_at=good, failed_attempts=0, known_since=None)
    by_round = good + timedelta(minutes=30, seconds=10)
    waiting = good - timedelta(minutes=5)
    fine = Judgement(level=Level.OK, late_since=None, missed=0, clock_was_ahead=False)
    assert judge_chore(chore, record, None, by_round - SECOND) == fine
    assert judge_chore(chore, record, None, by_round) == replace(fine, level=Level.CRITICAL, late_since=by_round)
    by_waiting = waiting + timedelta(minutes=30)
    assert judge_chore(chore, record, waiting, by_waiting - SECOND) == fine
    assert judge_chore(chore, record, waiting, by_round).late_since == by_waiting
    never = Record(good_slot=None, good_at=None, failed_attempts=0, known_since=None)
    assert judge_chore(chore, never, None, by_round) == fine, "there is nothing to look after"
