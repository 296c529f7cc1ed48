"""The first steps of each role, and which of them are done: read from the books, so nobody has to tick them off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, false, select

from inventory.db import db
from inventory.domain.access import Actor, Role
from inventory.domain.ledger import Kind
from inventory.models import CaseAct, DailyTotal, DayClosing, Membership, NoticeChannel, Office, OutreachPlan, Stocktake

STEPS: Mapping[Role, tuple[str, ...]] = {
    Role.STOREKEEPER: ("opening", "consumption", "closing", "stocktake"),
    Role.MANAGER: ("channel", "case", "outreach", "look"),
    Role.VIEWER: ("channel", "look", "run_outs"),
    Role.ADMINISTRATOR: ("settings", "people", "events"),
}
"""In the order in which somebody new to the role takes them."""


@dataclass(frozen=True)
class Step:
    """`done` is None for a step that leaves nothing in the books, such as looking at a page."""

    name: str
    done: bool | None


@dataclass(frozen=True)
class Guide:
    """A role's steps at the office of the role, whose code stands with it."""

    role: Role
    office_code: str
    steps: tuple[Step, ...]

    @property
    def finished(self) -> bool:
        """Whether nothing that leaves a trace is left to be done."""
        return all(step.done is not False for step in self.steps)


def guides(actor: Actor, only: Collection[Role] = tuple(STEPS)) -> list[Guide]:
    """A guide for each role of the actor among these, the first office of each, by the order of the roles."""
    first = {grant.role: grant.path for grant in reversed(actor.grants)}
    found = []
    for role in (role for role in STEPS if role in only):
        office = db.session.scalar(select(Office).where(Office.path == first[role])) if role in first else None
        if office is not None:
            found.append(Guide(role, office.code, _steps(actor, role, office)))
    return found


def _steps(actor: Actor, role: Role, office: Office) -> tuple[Step, ...]:
    """One query for all steps of a role."""
    conditions = _traces(actor, office)
    asked = [name for name in STEPS[role] if name in conditions]
    answers = db.session.execute(select(*(conditions[name].label(name) for name in asked))).one() if asked else ()
    done = dict(zip(asked, answers, strict=True))
    return tuple(Step(name, bool(done[name]) if name in done else None) for name in STEPS[role])


def _traces(actor: Actor, office: Office) -> dict[str, ColumnElement[bool]]:
    """What a step leaves behind: at the office for its stock, under the person's own name for the rest."""
    here, me = office.id, actor.person_id
    totals = exists().where(DailyTotal.office_id == here)
    return {
        "opening": totals,
        "consumption": totals.where(DailyTotal.kind == Kind.PRINT.value),
        "closing": exists().where(DayClosing.office_id == here),
        "stocktake": exists().where(Stocktake.office_id == here, Stocktake.status == "approved"),
        "channel": exists().where(NoticeChannel.person_id == me) if me else false(),
        "case": exists().where(CaseAct.person_id == me) if me else false(),
        "outreach": exists().where(OutreachPlan.office_id == here),
        "people": exists().where(Membership.office_id == here, Membership.person_id != me),
    }
