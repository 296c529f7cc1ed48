"""Whether a scheduled job runs as it should: late, failed, or ahead of a clock that was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from inventory.domain.alerts import Level
from inventory.domain.schedules import Schedule

GRACE = timedelta(hours=2)
"""How long after its time a job may be done before it is late: a restart, a long night's run, a second try."""

PATIENCE = timedelta(minutes=30)
"""How long what is done every few seconds may fail to be done, or leave what is due for it waiting: longer than a
review of the whole country, and than a server of mail that is being restarted."""

BEAT_SECONDS = 30
"""How often a scheduler says that it lives."""

SILENT = timedelta(seconds=4 * BEAT_SECONDS)
"""A scheduler that has said nothing for so long is taken for dead."""

MAX_ATTEMPTS = 3
"""How often a slot whose run failed is tried."""

AHEAD = timedelta(days=1)
"""What ran for a time that lies further ahead than this ran on a clock that was wrong, and no longer holds the job up.
Less may be another process's clock, or the same night come again."""


@dataclass(frozen=True)
class Watched:
    """A job and when it is due. `by_hand` names the runs by hand that do the same when they were for all."""

    name: str
    schedule: Schedule
    grace: timedelta = GRACE
    by_hand: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is on record of a job; instants are aware UTC, slots that lie ahead of the clock are told apart.

    `good_slot`: the newest that was done, and `good_at` when. `failed_attempts`: how often the newest slot failed,
    0 when it did not. `known_since`: since when the job could have run, for one that never did. `ahead`: the newest
    slot that was done and is not due yet, within AHEAD.
    """

    good_slot: datetime | None
    good_at: datetime | None
    failed_attempts: int
    known_since: datetime | None
    ahead: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """`late_since`: the instant at which its period and grace were over. `missed`: slots due since the last good one.
    `clock_was_ahead`: it ran for a time that has not come, and will not run again until that has passed."""

    level: Level
    late_since: datetime | None
    missed: int
    clock_was_ahead: bool


def judge(job: Watched, record: Record, now: datetime) -> Judgement:
    """Critical when the job is late by its period and grace, or its slot was tried as often as it may be; watch when
    a try failed, or its runs lie ahead of the clock; ok otherwise."""
    deadline = deadline_of(job, record)
    late = deadline is not None and deadline <= now
    ahead = record.ahead is not None and record.ahead > now + job.grace
    level = Level.OK
    if late or record.failed_attempts >= MAX_ATTEMPTS:
        level = Level.CRITICAL
    elif record.failed_attempts or ahead:
        level = Level.WATCH
    due = job.schedule.latest_slot(now)
    behind = record.good_slot is not None and record.good_slot < due
    missed = job.schedule.missed(record.good_slot, due) + 1 if behind and record.good_slot else 0
    return Judgement(level=level, late_since=deadline if late else None, missed=max(0, missed), clock_was_ahead=ahead)


def judge_chore(chore: Watched, record: Record, waiting_since: datetime | None, now: datetime) -> Judgement:
    """Critical when the chore had no good round for its period and grace, or what is due has waited for that grace; ok
    otherwise. A round that fails is followed by the next within seconds: it alone is no trouble."""
    deadlines = [deadline_of(chore, record), waiting_since + chore.grace if waiting_since else None]
    late_since = min((each for each in deadlines if each is not None and each <= now), default=None)
    level = Level.CRITICAL if late_since else Level.OK
    return Judgement(level=level, late_since=late_since, missed=0, clock_was_ahead=False)


def deadline_of(job: Watched, record: Record) -> datetime | None:
    """When the job will be late: a grace after the slot that follows the last good one; None when nothing tells."""
    if record.good_slot is not None:
        return job.schedule.next_slot(record.good_slot) + job.grace
    return record.known_since + job.grace if record.known_since else None
