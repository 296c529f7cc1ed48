"""Steps taken on plans, events and caps: each in one transaction with its effect, once per request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Subquery, func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Actor
from inventory.domain.audit import Event as AuditEvent
from inventory.domain.ledger import body_digest
from inventory.models import Person, PlanStep
from inventory.services import audit
from inventory.services.idempotency import once

SAID = ("added", "changed")
"""Steps that say what a subject is."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a step was taken on. `subject_id` is the id of the plan, event or cap; `office_id` None for the country."""

    subject_id: int
    office_id: int | None
    step: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class StepView:
    """`at` is an instant (aware UTC), `by` None for the system."""

    step: str
    at: datetime
    by: str | None
    note: str


def take(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    subject: str,
    said: Mapping[str, object],
    work: Callable[[Session], Taken],
) -> int:
    """Do `work` and note it, all or nothing; the subject's id. A repeated request finds what it did, whatever stops it
    now. Raises Refusal `request_id_reused`, and what `work` raises."""
    digest = body_digest(actor.person_id, (), {"subject": subject} | dict(said))

    def put(session: Session) -> int:
        taken = work(session)
        stamp = {"request_id": request_id, "request_digest": digest, "at": now, "by_id": actor.person_id}
        session.execute(insert(PlanStep).values(**vars(taken), **stamp, subject=subject))
        facts = {"setting": subject, "id": taken.subject_id, "after": taken.step}
        where = {"office_id": taken.office_id, "subject": str(taken.subject_id)}
        audit.note(session, now, actor, AuditEvent.SETTING_CHANGED, **where, facts=facts)
        return taken.subject_id

    return once(PlanStep, PlanStep.subject_id, request_id, digest, put)


def of_subject(subject: str, subject_id: int, limit: int = 100) -> list[StepView]:
    """The newest steps taken on one subject, in order. The caller has checked who may see it."""
    rows = db.session.execute(
        select(PlanStep.step, PlanStep.at, Person.full_name, PlanStep.note)
        .outerjoin(Person, Person.id == PlanStep.by_id)
        .where(PlanStep.subject == subject, PlanStep.subject_id == subject_id)
        .order_by(PlanStep.id.desc())
        .limit(limit)
    )
    return [StepView(step=step, at=at, by=by, note=note) for step, at, by, note in reversed(rows.all())]


def last_said(subject: str) -> Subquery:
    """SQL: (subject_id, said_at), when it was last said what each of these is: added or changed."""
    return (
        select(PlanStep.subject_id, func.max(PlanStep.at).label("said_at"))
        .where(PlanStep.subject == subject, PlanStep.step.in_(SAID))
        .group_by(PlanStep.subject_id)
        .subquery()
    )
