"""A case told in short: its three sentences, the stock behind it, and what can be done about it next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select

from inventory.db import db
from inventory.domain import briefs
from inventory.domain.access import Action, Actor, may
from inventory.domain.alerts import Subject
from inventory.domain.briefs import Around, Brief
from inventory.models import Item, Office, OutreachPlan, OutreachPlanLine
from inventory.services import calendars, explanations, offices
from inventory.services.alerts import AlertView
from inventory.services.explanations import Explanation
from inventory.services.offices import OfficeView

MOST_PLANS = 5
"""Planned outreach that a case tells of."""


@dataclass(frozen=True, kw_only=True)
class PlanAhead:
    """An outreach that is planned before the stock runs out: later, it would leave more of it."""

    id: int
    day: date
    place: str
    expected: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the actor may do next about a stock: ask for `order` units at `office`; work out loans at `lending`, the
    office whose others may lend; put off `outreach`. What they may not, or is of no use, is None or empty."""

    order: int | None
    lending: OfficeView | None
    outreach: tuple[PlanAhead, ...]


@dataclass(frozen=True, kw_only=True)
class CaseBrief:
    """`stock` and `steps` are None for a case that is not about a stock that runs out, or is over."""

    sentences: Brief
    stock: Explanation | None
    steps: Step | None


def of_alert(actor: Actor, now: datetime, alert: AlertView) -> CaseBrief:
    """The brief of an alert that the actor was given. Raises NotAllowed where they may not see its office."""
    office = offices.get(actor, Action.VIEW_ALERT, alert.office_code)
    today = office.today(now)
    opened = calendars.of_offices([(office.id, office.settings.working_days)], today, today + briefs.FARTHEST)
    is_open = opened[office.id].is_open
    if alert.subject is not Subject.LOW_STOCK or alert.item_code is None or alert.resolved_at is not None:
        around = Around(today=today, is_open=is_open)
        return CaseBrief(sentences=briefs.brief(alert.subject, alert.facts, around), stock=None, steps=None)
    stock = explanations.of_stock(actor, now, alert.office_code, alert.item_code)
    arrives = stock.expected[0].on_day if stock.expected else None
    around = Around(today=today, is_open=is_open, arrives_on=arrives)
    return CaseBrief(
        sentences=briefs.brief(alert.subject, alert.facts, around),
        stock=stock,
        steps=_steps(actor, office, alert, today),
    )


def _steps(actor: Actor, office: OfficeView, alert: AlertView, today: date) -> Step:
    order = int(alert.facts.get("suggested_order") or 0)
    may_ask = may(actor, Action.REQUEST_DELIVERY, office.path)
    runs_out = alert.facts.get("stockout_on")
    until = date.fromisoformat(runs_out) if runs_out else None
    plans = may(actor, Action.PLAN_OUTREACH, office.path) and until is not None
    return Step(
        order=order if may_ask and order > 0 else None,
        lending=_lending(actor, office),
        outreach=_planned(office.id, alert.item_code or "", today, until) if plans and until else (),
    )


def _lending(actor: Actor, office: OfficeView) -> OfficeView | None:
    """The office right above where the actor may work out loans, so that its neighbours take part; else the office
    itself, where others below it may lend."""
    above = offices.ancestors(actor, Action.ALLOT_DELIVERY, office)
    if above:
        return above[-1]
    below = select(Office.id).where(Office.parent_id == office.id, Office.active).limit(1)
    if may(actor, Action.ALLOT_DELIVERY, office.path) and db.session.scalar(below) is not None:
        return office
    return None


def _planned(office_id: int, item_code: str, today: date, until: date) -> tuple[PlanAhead, ...]:
    rows = db.session.execute(
        select(OutreachPlan.id, OutreachPlan.day, OutreachPlan.place, OutreachPlanLine.expected)
        .join(OutreachPlanLine, OutreachPlanLine.outreach_plan_id == OutreachPlan.id)
        .join(Item, Item.id == OutreachPlanLine.item_id)
        .where(
            OutreachPlan.office_id == office_id,
            OutreachPlan.status == "planned",
            OutreachPlan.day.between(today, max(until, today + timedelta(days=1))),
            Item.code == item_code,
        )
        .order_by(OutreachPlan.day, OutreachPlan.id)
        .limit(MOST_PLANS)
    )
    return tuple(PlanAhead(**row._mapping) for row in rows)
