"""The watchers of the scheduled jobs: which schedulers live, which jobs are late, and the case that is opened then.

Who notices what:
- A job fails or is late while something lives: the scheduler looks at all jobs with every beat and each failure, and
  a web process whenever `/readyz` is asked; either opens the case. It is not left to the review, which may be what
  fails.
- No scheduler lives: the web processes, as above, and the banner, which is read from the runs with each page.
- Nothing lives: only somebody outside can tell, who waits for the dead-man ping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, literal, or_, select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import UtcDateTime, db, insert_or, write
from inventory.domain.access import TABLE, Action, Actor, may_somewhere
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.cases import Done, wants_new_look
from inventory.domain.errors import NotAllowed
from inventory.domain.offices import local_day
from inventory.domain.watchers import AHEAD, GRACE, SILENT, Record, Watched, deadline_of, judge, judge_chore
from inventory.models import (
    Alert,
    AlertEvent,
    Heartbeat,
    JobRun,
    Membership,
    Movement,
    NoticeToFanOut,
    Office,
    Person,
)
from inventory.services import chores as chores_service
from inventory.services import reviews
from inventory.services.custody import Finding

KEPT = timedelta(days=1)
"""How long after its last beat a scheduler is remembered."""


@dataclass(frozen=True, kw_only=True)
class JobState:
    """How a job stands; instants are aware UTC. See `domain.watchers.Judgement` for the last four."""

    job: str
    due_slot: datetime
    next_slot: datetime
    good_slot: datetime | None
    good_at: datetime | None
    seconds: float | None
    """How long the last good run took."""
    failed_attempts: int
    error: str | None
    level: Level
    late_since: datetime | None
    missed: int
    clock_was_ahead: bool


@dataclass(frozen=True, kw_only=True)
class Schedulers:
    """`alive`: how many beat; `beat_at`: the newest beat of any, also of a dead one."""

    alive: int
    beat_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class State:
    jobs: tuple[JobState, ...]
    schedulers: Schedulers

    @property
    def level(self) -> Level:
        return max((job.level for job in self.jobs), key=SEVERITY.__getitem__, default=Level.OK)


@dataclass(frozen=True, kw_only=True)
class Late:
    """A job that is late; `good_at` None when it was never done."""

    good_at: datetime | None
    late_since: datetime


def beat(worker: str, started_at: datetime, now: datetime, jobs: Sequence[str]) -> None:
    """A scheduler says that it lives; those that have said nothing for a day are forgotten. Safe to repeat."""

    def say(session: Session) -> None:
        statement = insert_or(session, Heartbeat.__table__)
        row = {"worker": worker, "started_at": started_at, "beat_at": now, "jobs": list(jobs)}
        statement = statement.values(row).on_conflict_do_update(index_elements=["worker"], set_=row)
        session.execute(statement)
        session.execute(delete(Heartbeat).where(~Heartbeat.beat_at.between(now - KEPT, now + KEPT)))

    write(say)


def state(now: datetime, jobs: Sequence[Watched], chores: Sequence[Watched] = ()) -> State:
    """How the jobs, the chores and their schedulers stand. For machines that ask, whoever they are: it names no
    office."""
    found = (*(_job_state(now, job) for job in jobs), *(_chore_state(now, chore) for chore in chores))
    return State(jobs=found, schedulers=_schedulers(now))


def overview(actor: Actor, now: datetime, jobs: Sequence[Watched], chores: Sequence[Watched] = ()) -> State:
    """The same for the page of the jobs. Raises NotAllowed."""
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    return state(now, jobs, chores)


def late(now: datetime, job: Watched) -> Late | None:
    """Whether a job is late by its period and grace: one indexed query where it ever ran, by schedule or by hand."""
    asked = {"job": job.name, "by_hand": job.by_hand or job.name, "now": now}
    good = db.session.execute(_newest_good_run(), asked).one_or_none()
    record = Record(
        good_slot=good.slot if good else None,
        good_at=good.finished_at if good else None,
        failed_attempts=0,
        known_since=None if good else _known_since(now),
    )
    deadline = deadline_of(job, record)
    if deadline is None or deadline > now:
        return None
    return Late(good_at=record.good_at, late_since=deadline)


@cache
def _newest_good_run() -> Any:
    """SQL: the newest slot that was done and was due, of a job and of the runs by hand that do the same. Put together
    once: many pages ask."""

    def newest(job: str, *conditions: Any) -> Any:
        return (
            select(JobRun.slot, JobRun.finished_at, literal(int(bool(conditions))).label("by_hand"))
            .where(JobRun.job == bindparam(job), JobRun.status == "done", *conditions)
            .where(JobRun.slot <= bindparam("now", type_=UtcDateTime))
            .order_by(JobRun.slot.desc())
            .limit(1)
            .subquery()
        )

    both = union_all(select(newest("job")), select(newest("by_hand", _for_all_by_hand()))).subquery()
    return select(both.c.slot, both.c.finished_at).order_by(both.c.slot.desc(), both.c.by_hand).limit(1)


def _for_all_by_hand() -> Any:
    """SQL: a run by hand was for all stocks."""
    return JobRun.counts["custody"].as_integer().is_not(None)


def watch(now: datetime, jobs: Sequence[Watched], chores: Sequence[Watched] = ()) -> State:
    """Look at the jobs and chores, and bring the cases about them up to date: opened, raised, lowered or resolved.

    Any process may do so at any time: nothing is written where nothing has changed, and of two that find the same at
    once the database refuses one.
    """
    found = state(now, jobs, chores)
    wanted = {each.office_id: each for each in job_findings(now, found)}
    if not _is_told(wanted):
        with suppress(IntegrityError):  # another process has just opened it
            write(lambda session: _bring_up_to_date(session, now, list(wanted.values())))
    return found


def job_findings(now: datetime, found: State) -> list[Finding]:
    """One finding for all jobs that do not run as they should, at each top office: at the topmost where people are, as
    a case at a ministry that nobody here belongs to would be read by nobody."""
    wrong = sorted((job for job in found.jobs if job.level is not Level.OK), key=lambda job: job.job)
    if not wrong:
        return []
    return [
        Finding(
            subject=Subject.JOB_NOT_RUN,
            office_id=office_id,
            item_id=None,
            level=found.level,
            facts=_facts(now, time_zone, wrong),
        )
        for office_id, time_zone in _top_offices()
    ]


def open_by_subject() -> dict[tuple[str, str], int]:
    """How many alerts are open, by subject and level. For machines that ask."""
    query = select(Alert.subject, Alert.level, func.count()).where(Alert.resolved_at.is_(None))
    return {(s, level): count for s, level, count in db.session.execute(query.group_by(Alert.subject, Alert.level))}


def failures() -> Counter[str]:
    """How many tries of each job have failed since the beginning."""
    failed = func.sum(case((JobRun.status == "failed", JobRun.attempts), else_=JobRun.attempts - 1))
    rows = db.session.execute(select(JobRun.job, failed).group_by(JobRun.job))
    return Counter({job: int(count or 0) for job, count in rows})


# --- what is on record -------------------------------------------------------------------------------------------


def _job_state(now: datetime, job: Watched) -> JobState:
    good = _good_run(now, job.name)
    last = db.session.execute(
        select(JobRun.slot, JobRun.status, JobRun.attempts, JobRun.error)
        .where(JobRun.job == job.name, JobRun.slot <= now)
        .order_by(JobRun.slot.desc())
        .limit(1)
    ).one_or_none()
    failed = last if last is not None and last.status == "failed" else None
    record = _record(now, job, good, failed.attempts if failed else 0)
    judged = judge(job, record, now)
    due = job.schedule.latest_slot(now)
    return JobState(
        job=job.name,
        due_slot=due,
        next_slot=job.schedule.next_slot(due),
        good_slot=record.good_slot,
        good_at=record.good_at,
        seconds=_seconds(good),
        failed_attempts=record.failed_attempts,
        error=failed.error if failed and record.failed_attempts else None,
        level=judged.level,
        late_since=judged.late_since,
        missed=judged.missed,
        clock_was_ahead=judged.clock_was_ahead,
    )


def _chore_state(now: datetime, chore: Watched) -> JobState:
    last = chores_service.last_round(chore.name, now)
    good_slot = chore.schedule.latest_slot(last.good_at) if last.good_at and last.good_at <= now else None
    since = _known_since(now) if good_slot is None else None
    due_first = chore.schedule.next_slot(since) if since else None
    record = Record(good_slot=good_slot, good_at=last.good_at, failed_attempts=0, known_since=due_first)
    judged = judge_chore(chore, record, last.waiting_since, now)
    due = chore.schedule.latest_slot(now)
    return JobState(
        job=chore.name,
        due_slot=due,
        next_slot=chore.schedule.next_slot(due),
        good_slot=good_slot,
        good_at=last.good_at,
        seconds=None,
        failed_attempts=0,
        error=last.held_up,
        level=judged.level,
        late_since=judged.late_since,
        missed=0,
        clock_was_ahead=False,
    )


def _record(now: datetime, job: Watched, good: Any, failed_attempts: int = 0) -> Record:
    """A run by hand is only looked for when the scheduled one is missing or late."""
    slot, at = (good.slot, good.finished_at) if good else (None, None)
    if job.by_hand and (slot is None or job.schedule.next_slot(slot) <= now):
        by_hand = _good_run(now, job.by_hand, _for_all_by_hand())
        if by_hand and (slot is None or by_hand.slot > slot):
            slot, at, failed_attempts = by_hand.slot, by_hand.finished_at, 0
    return Record(
        good_slot=slot,
        good_at=at,
        failed_attempts=failed_attempts,
        known_since=_known_since(now) if slot is None else None,
        ahead=db.session.scalar(
            select(func.max(JobRun.slot)).where(
                JobRun.job == job.name, JobRun.status == "done", JobRun.slot > now, JobRun.slot <= now + AHEAD
            )
        ),
    )


def _good_run(now: datetime, job: str, *conditions: Any) -> Any:
    """The newest slot that was done and was due; those of a clock that was ahead do not count."""
    return db.session.execute(
        select(JobRun.slot, JobRun.started_at, JobRun.finished_at)
        .where(JobRun.job == job, JobRun.status == "done", JobRun.slot <= now, *conditions)
        .order_by(JobRun.slot.desc())
        .limit(1)
    ).one_or_none()


def _seconds(run: Any) -> float | None:
    return max(0.0, (run.finished_at - run.started_at).total_seconds()) if run else None


def _known_since(now: datetime) -> datetime | None:
    """Since when a job that never ran could have: the start of the scheduler that has lived longest, else the last
    beat of one that died, else the first movement. Before there is one, there is nothing to look after."""
    alive = db.session.scalar(select(func.min(Heartbeat.started_at)).where(_beats(now)))
    died = alive or db.session.scalar(select(func.max(Heartbeat.beat_at)))
    return died or db.session.scalar(select(Movement.recorded_at).order_by(Movement.id).limit(1))


def _beats(now: datetime) -> Any:
    """SQL: whether a scheduler lives. A beat that lies far ahead is of one that died before the clock was set back:
    whoever lives beats anew, on the clock as it is."""
    return and_(Heartbeat.beat_at > now - SILENT, Heartbeat.beat_at < now + GRACE)


def _schedulers(now: datetime) -> Schedulers:
    alive = func.sum(case((_beats(now), 1), else_=0))
    row = db.session.execute(select(alive, func.max(Heartbeat.beat_at))).one()
    return Schedulers(alive=int(row[0] or 0), beat_at=row[1])


# --- the case ----------------------------------------------------------------------------------------------------


def _is_told(wanted: Mapping[int, Finding]) -> bool:
    """Whether the cases say this already: open ones the very same, and those that people resolved while the trouble
    lasts no less."""
    columns = Alert.office_id, Alert.level, Alert.facts, Alert.resolved_at
    lasts = or_(Alert.resolved_at.is_(None), and_(Alert.done != Done.RELIEVED.value, Alert.level != Level.OK.value))
    rows = db.session.execute(select(*columns).where(Alert.subject == Subject.JOB_NOT_RUN.value, lasts)).all()
    if {row.office_id for row in rows} != set(wanted):
        return False
    return all(_says(row, wanted[row.office_id]) for row in rows)


def _says(case: Any, finding: Finding) -> bool:
    if case.resolved_at is not None:
        return not wants_new_look(Level(case.level), finding.level)
    return (case.level, case.facts) == (finding.level, finding.facts)


def _bring_up_to_date(session: Session, now: datetime, found: list[Finding]) -> None:
    reviews.bring_up_to_date(session, None, now, [Subject.JOB_NOT_RUN], found)
    _leave_untold(session)


def _leave_untold(session: Session) -> None:
    """That messages are not sent is not told by message: those would wait with the others, and be one more trouble each
    time that their server comes and goes. The case, the list of alerts and the metrics say it."""
    rows = session.execute(
        select(AlertEvent.id, AlertEvent.facts)
        .join(NoticeToFanOut, NoticeToFanOut.alert_event_id == AlertEvent.id)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .where(Alert.subject == Subject.JOB_NOT_RUN.value)
    )
    ids = [row.id for row in rows if row.facts.get("jobs") == [chores_service.MESSAGES]]
    session.execute(delete(NoticeToFanOut).where(NoticeToFanOut.alert_event_id.in_(ids)))


def _facts(now: datetime, time_zone: str, wrong: Sequence[JobState]) -> dict[str, Any]:
    """What the case says; the same from one look to the next, so that nothing is written where nothing changes."""
    today = local_day(now, time_zone)
    late = [local_day(job.late_since, time_zone) for job in wrong if job.late_since]
    troubled = [local_day(job.late_since or job.due_slot, time_zone) for job in wrong]
    good = [local_day(job.good_slot, time_zone) for job in wrong if job.good_slot]
    return {
        "jobs": [job.job for job in wrong],
        "late": [job.job for job in wrong if job.late_since],
        "attempts": max(job.failed_attempts for job in wrong),
        "clock_was_ahead": any(job.clock_was_ahead for job in wrong),
        "since": min(troubled).isoformat(),
        "good_on": min(good).isoformat() if good and len(good) == len(wrong) else None,
        "days_late": max(((today - day).days for day in late), default=0),
    }


def _top_offices() -> list[tuple[int, str]]:
    """The topmost offices at which somebody may see alerts; where nobody does anywhere, those without a parent."""
    columns = Office.id, Office.time_zone, Office.path
    roles = [role.value for role in TABLE[Action.VIEW_ALERT]]
    manned = (
        select(*columns)
        .distinct()
        .join(Membership, Membership.office_id == Office.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.name.in_(roles), Person.active)
    )
    rows = (
        db.session.execute(manned).all() or db.session.execute(select(*columns).where(Office.parent_id.is_(None))).all()
    )
    return [(row.id, row.time_zone) for row in _topmost(rows)]


def _topmost(rows: Iterable[Any]) -> list[Any]:
    """Paths in their order: an office comes right before those below it."""
    found: list[Any] = []
    for row in sorted(rows, key=lambda row: row.path):
        if not found or not row.path.startswith(found[-1].path):
            found.append(row)
    return found
