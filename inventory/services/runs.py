"""Runs of scheduled jobs: one per slot however many processes try, and a record of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import Schedule
from inventory.domain.watchers import AHEAD, MAX_ATTEMPTS
from inventory.models import JobRun

Work = Callable[[Session, int], dict[str, Any]]
"""The job's effects, in the session given and with its run's id; returns the counts to record."""


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run as the edges see it; instants are aware UTC."""

    id: int
    job: str
    slot: datetime
    status: str
    attempts: int
    started_at: datetime
    finished_at: datetime | None
    slots_missed: int
    counts: dict[str, Any]
    error: str | None
    worker: str


def run_slot(
    job: str,
    slot: datetime,
    schedule: Schedule | None,
    clock: Callable[[], datetime],
    worker: str,
    work: Work,
) -> RunView | None:
    """Do `work` for this slot unless it is done, and record the run; None when somebody else has it.

    The row that takes the slot is written in the transaction of the job's effects: either both stand or neither,
    and a second process waits at the unique (job, slot) until the first is through. A slot older than the last one
    done is never run: a clock that steps back repeats nothing. What lies further ahead than AHEAD was done on a clock
    that was wrong: it is not run again either, but the slots until then are. A failure is recorded on the slot, which
    may be tried again up to MAX_ATTEMPTS times; its error is not raised, so that other jobs go on.
    """
    started = clock()

    def take(session: Session) -> int | None:
        run_id = _claim(session, job, slot, schedule, started, worker)
        if run_id is None:
            return None
        counts = work(session, run_id)
        done = {"status": "done", "finished_at": clock(), "counts": counts, "error": None}
        session.execute(update(JobRun).where(JobRun.id == run_id).values(done))
        return run_id

    try:
        run_id = write(take)
    except Exception as error:
        return record_failure(job, slot, started, clock(), worker, error)
    return _view(db.session.get(JobRun, run_id, populate_existing=True)) if run_id else None


def record_failure(
    job: str, slot: datetime, started: datetime, finished: datetime, worker: str, error: Exception
) -> RunView:
    """Write down that a slot's run failed, as one attempt more; a slot that somebody else has done meanwhile stays
    done. Raises what the database raises where that is what is lost."""
    run_id = _record_failure(job, slot, started, finished, worker, error)
    return _view(db.session.get(JobRun, run_id, populate_existing=True))


def latest(actor: Actor, limit: int = 50) -> list[RunView]:
    """The last runs, the newest first. Raises NotAllowed."""
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    rows = db.session.scalars(select(JobRun).order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(limit))
    return [_view(row) for row in rows]


def latest_of(actor: Actor, job: str, limit: int) -> list[RunView]:
    """The last runs of one job, the newest first. Raises NotAllowed."""
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    query = select(JobRun).where(JobRun.job == job).order_by(JobRun.slot.desc()).limit(limit)
    return [_view(row) for row in db.session.scalars(query)]


def is_due(job: str, slot: datetime) -> bool:
    """Whether a slot is still to be run: a cheap look before `run_slot`, which decides."""
    row = db.session.execute(
        select(JobRun.status, JobRun.attempts).where(JobRun.job == job, JobRun.slot == slot)
    ).one_or_none()
    return row is None or (row.status == "failed" and row.attempts < MAX_ATTEMPTS)


def _claim(
    session: Session, job: str, slot: datetime, schedule: Schedule | None, started: datetime, worker: str
) -> int | None:
    done = (JobRun.job == job, JobRun.status == "done", JobRun.slot <= started + AHEAD)
    before = session.scalar(select(func.max(JobRun.slot)).where(*done))
    # A run by hand is of the moment, whatever the clock said before; it has no slots to miss.
    if schedule is not None and before is not None and before >= slot:
        return None
    taken = {
        "status": "running",
        "started_at": started,
        "worker": worker,
        "slots_missed": schedule.missed(before, slot) if schedule and before else 0,
    }
    row = {"job": job, "slot": slot, "attempts": 1, "counts": {}} | taken
    claim = insert_or(session, JobRun.__table__).values(row).on_conflict_do_nothing(index_elements=["job", "slot"])
    run_id = session.execute(claim.returning(JobRun.__table__.c.id)).scalar_one_or_none()
    if run_id is not None:
        return run_id
    retry = (
        update(JobRun)
        .where(JobRun.job == job, JobRun.slot == slot, JobRun.status == "failed", JobRun.attempts < MAX_ATTEMPTS)
        .values(taken | {"attempts": JobRun.attempts + 1})
        .returning(JobRun.id)
    )
    return session.execute(retry).scalar_one_or_none()


def _said(error: Exception) -> str:
    """What went wrong, without the figures of the row that a database refused."""
    if not isinstance(error, DBAPIError):
        return str(error)
    told = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return str(told or error.orig)


def _record_failure(
    job: str, slot: datetime, started: datetime, finished: datetime, worker: str, error: Exception
) -> int:
    failed = {
        "status": "failed",
        "finished_at": finished,
        "error": f"{type(error).__name__}: {_said(error)}"[:2000],
        "worker": worker,
        "started_at": started,
    }

    def put(session: Session) -> int:
        table = JobRun.__table__
        statement = insert_or(session, table).values({"job": job, "slot": slot, "counts": {}, "attempts": 1} | failed)
        statement = statement.on_conflict_do_update(
            index_elements=["job", "slot"],
            set_=failed | {"attempts": table.c.attempts + 1},
            where=table.c.status != "done",
        )
        session.execute(statement)
        return session.execute(select(JobRun.id).where(JobRun.job == job, JobRun.slot == slot)).scalar_one()

    return write(put)


def _view(row: JobRun | None) -> RunView:
    assert row is not None
    return RunView(**{name: getattr(row, name) for name in RunView.__dataclass_fields__})
