"""Outreach plans: a day, a place, a team and the prints expected there. Planned, changed, then held or called off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, require
from inventory.domain.calendars import days_between
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.offices import OfficeKind, local_day
from inventory.domain.outreach import (
    STANDS,
    WORDS_LENGTH,
    check_day,
    check_held,
    check_plan,
    check_planned,
    check_planner,
)
from inventory.domain.reports import Month
from inventory.domain.texts import check_text
from inventory.models import Item, Office, OutreachPlan, OutreachPlanLine, Person
from inventory.models.offices import within
from inventory.services import calendars, items, offices, plan_steps
from inventory.services.lookup import the_row
from inventory.services.offices import OfficeView
from inventory.services.plan_steps import StepView, Taken

SUBJECT = "outreach"
MOST_SHOWN = 200


@dataclass(frozen=True)
class DayView:
    """A day of an office: whether it serves, and the holiday that it is, or empty."""

    day: date
    open: bool
    holiday: str


@dataclass(frozen=True, kw_only=True)
class Planning:
    """What is planned. `day`, `starts` and `ends` are the office's own; `expected` prints by item code; the team is an
    office's code, or words, or both."""

    day: date
    place: str
    expected: Mapping[str, int]
    team_code: str = ""
    team: str = ""
    starts: time | None = None
    ends: time | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanLineView:
    """`actual` is None until the outreach was held and somebody counted."""

    item_code: str
    expected: int
    actual: int | None


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A plan as the edges see it. `team` names the team's office and says who goes, `team_words` only the latter.
    `office_open` is False when the office's calendar says closed on the plan's day."""

    id: int
    office_id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    day: date
    place: str
    team_code: str
    team: str
    team_words: str
    starts: time | None
    ends: time | None
    status: str
    version: int
    made_by: str | None
    note: str
    office_open: bool
    lines: tuple[PlanLineView, ...]

    @property
    def planned(self) -> bool:
        return self.status == "planned"


@dataclass(frozen=True, kw_only=True)
class PlanDetail:
    plan: PlanView
    steps: tuple[StepView, ...]


def plan(actor: Actor, now: datetime, request_id: UUID, office_code: str, planning: Planning) -> int:
    """Plan an outreach; the plan's id. On a day on which the office would be closed its calendar opens with it.

    Raises NotFound, NotAllowed; Invalid `outreach_of_team`, `outreach_day_range`, `outreach_place_missing`,
    `outreach_hours`, `outreach_team_unknown`, `nothing_entered` and what `check_quantity` raises; Refusal
    `office_closed_on_day`, `request_id_reused`.
    """
    office = offices.get(actor, Action.PLAN_OUTREACH, office_code)
    check_planner(office.kind)
    check_day(planning.day, office.today(now))
    values, expected = _values(office, planning)
    stamp = {"office_id": office.id, "status": "planned", "made_by_id": actor.person_id, "recorded_at": now}

    def put(session: Session) -> Taken:
        calendars.hold(session, office.id)
        made = session.execute(insert(OutreachPlan).values(**values, **stamp).returning(OutreachPlan.id)).scalar_one()
        _put_lines(session, made, expected)
        _open(session, office, planning.day, values["place"])
        return Taken(subject_id=made, office_id=office.id, step="added")

    said = {"office": office.id} | asdict(planning)
    return plan_steps.take(actor, now, request_id, SUBJECT, said, put)


def change(actor: Actor, now: datetime, request_id: UUID, plan_id: int, seen: int, planning: Planning) -> int:
    """Say anew what is planned; the plan's id. `seen` is the version that the change is about: of two who change a
    plan at once, one does. The calendar follows the day.

    Raises what `plan` raises, and NotFound `outreach_not_found`; Refusal `outreach_closed`, `outreach_changed`.
    """
    found = _row(plan_id)
    office = offices.get(actor, Action.PLAN_OUTREACH, found.office_code)
    if planning.day != found.day:
        check_day(planning.day, office.today(now))
    values, expected = _values(office, planning)

    def put(session: Session) -> Taken:
        calendars.hold(session, office.id)
        before = session.execute(select(OutreachPlan.day).where(OutreachPlan.id == plan_id)).scalar_one()
        _change(session, plan_id, seen, values)
        session.execute(delete(OutreachPlanLine).where(OutreachPlanLine.outreach_plan_id == plan_id))
        _put_lines(session, plan_id, expected)
        if planning.day != before:
            calendars.close_after_plan(session, office.id, before)
        _open(session, office, planning.day, values["place"])
        return Taken(subject_id=plan_id, office_id=office.id, step="changed")

    said = {"plan": plan_id, "seen": seen} | asdict(planning)
    return plan_steps.take(actor, now, request_id, SUBJECT, said, put)


def call_off(actor: Actor, now: datetime, request_id: UUID, plan_id: int, seen: int, why: str) -> int:
    """Call a planned outreach off; the plan's id. The office's calendar closes again where nothing else opened it.

    Raises NotFound `outreach_not_found`, NotAllowed; Invalid `outreach_needs_reason`; Refusal `outreach_closed`,
    `outreach_changed`, `request_id_reused`.
    """
    found = _row(plan_id)
    require(actor, Action.PLAN_OUTREACH, found.office_path)
    why = check_text(why, NOTE_LENGTH)
    if not why:
        raise Invalid("outreach_needs_reason")

    def put(session: Session) -> Taken:
        calendars.hold(session, found.office_id)
        day = _change(session, plan_id, seen, {"status": "called_off", "closed_at": now})
        calendars.close_after_plan(session, found.office_id, day)
        return Taken(subject_id=plan_id, office_id=found.office_id, step="called_off", note=why)

    said = {"plan": plan_id, "seen": seen, "why": why}
    return plan_steps.take(actor, now, request_id, SUBJECT, said, put)


def record_held(
    actor: Actor, now: datetime, request_id: UUID, plan_id: int, seen: int, actual: Mapping[str, int]
) -> int:
    """Say that an outreach was held, and how much it printed of each item where somebody counted; the plan's id.

    It books nothing: prints are recorded as consumption. Raises NotFound `outreach_not_found`, NotAllowed; Invalid
    `outreach_not_yet`, `outreach_items_differ`; Refusal `outreach_closed`, `outreach_changed`, `request_id_reused`.
    """
    found = _row(plan_id)
    require(actor, Action.PLAN_OUTREACH, found.office_path)
    by_id = {items.get(code).id: quantity for code, quantity in actual.items()}
    today = local_day(now, found.time_zone)

    def put(session: Session) -> Taken:
        day = _change(session, plan_id, seen, {"status": "held", "closed_at": now})
        of_plan = OutreachPlanLine.outreach_plan_id == plan_id
        check_held(day, today, session.scalars(select(OutreachPlanLine.item_id).where(of_plan)), by_id)
        for item_id, quantity in sorted(by_id.items()):
            line = update(OutreachPlanLine).where(of_plan, OutreachPlanLine.item_id == item_id)
            session.execute(line.values(actual=quantity))
        return Taken(subject_id=plan_id, office_id=found.office_id, step="held")

    said = {"plan": plan_id, "seen": seen, "actual": sorted(by_id.items())}
    return plan_steps.take(actor, now, request_id, SUBJECT, said, put)


def get(actor: Actor, plan_id: int, action: Action = Action.VIEW_STOCK) -> PlanDetail:
    """One plan with the steps taken on it, for those who may do `action` at its office. Raises NotFound
    `outreach_not_found`, NotAllowed."""
    found = _row(plan_id)
    require(actor, action, found.office_path)
    return PlanDetail(plan=_views([found])[0], steps=tuple(plan_steps.of_subject(SUBJECT, plan_id)))


def of_month(actor: Actor, office_code: str, month: Month) -> list[PlanView]:
    """An office's plans of one month by day and hour, those that were called off included; at most MOST_SHOWN."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query().where(OutreachPlan.office_id == office.id, OutreachPlan.day.between(month.first, month.last))
    ordered = found.order_by(OutreachPlan.day, OutreachPlan.starts, OutreachPlan.id)
    return _views(db.session.execute(ordered.limit(MOST_SHOWN)).all())


def newest(actor: Actor, office_code: str, before_id: int | None, limit: int) -> list[PlanView]:
    """An office's plans, those made last first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query().where(OutreachPlan.office_id == office.id)
    if before_id is not None:
        found = found.where(OutreachPlan.id < before_id)
    return _views(db.session.execute(found.order_by(OutreachPlan.id.desc()).limit(limit)).all())


def days_of_month(actor: Actor, office_code: str, month: Month) -> list[DayView]:
    """Every day of a month as the office's calendar has it."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    week = (office.id, office.settings.working_days)
    calendar = calendars.of_offices([week], month.first, month.last)[office.id]
    return [
        DayView(day, calendar.is_open(day), calendar.holidays.get(day, ""))
        for day in days_between(month.first, month.last)
    ]


def teams(actor: Actor, office_code: str) -> list[OfficeView]:
    """The outreach teams of an office that are offices of their own, by code; at most MOST_SHOWN."""
    office = offices.get(actor, Action.PLAN_OUTREACH, office_code)
    rows = db.session.scalars(
        select(Office)
        .where(within(office.path), Office.kind == OfficeKind.OUTREACH.value, Office.active, Office.id != office.id)
        .order_by(Office.code)
        .limit(MOST_SHOWN)
    )
    return [offices.view(row) for row in rows]


def standing(first: date, last: date) -> Sequence[Any]:
    """For the projection: (office_id, item_id, day, status, expected, place) of plans for these days that are planned
    or were held, by day."""
    return db.session.execute(
        select(
            OutreachPlan.office_id,
            OutreachPlanLine.item_id,
            OutreachPlan.day,
            OutreachPlan.status,
            OutreachPlanLine.expected,
            OutreachPlan.place,
        )
        .join(OutreachPlanLine, OutreachPlanLine.outreach_plan_id == OutreachPlan.id)
        .where(OutreachPlan.day.between(first, last), OutreachPlan.status.in_(STANDS))
        .order_by(OutreachPlan.day, OutreachPlan.id)
    ).all()


def ever_planned(first: date, last: date) -> Sequence[Any]:
    """For the backtest: (office_id, item_id, day, expected, said_at, called_off_at, time_zone) of every plan there was
    for these days, by day. `said_at` is when it was last said what it is: earlier words are not kept."""
    said = plan_steps.last_said(SUBJECT)
    return db.session.execute(
        select(
            OutreachPlan.office_id,
            OutreachPlanLine.item_id,
            OutreachPlan.day,
            OutreachPlanLine.expected,
            func.coalesce(said.c.said_at, OutreachPlan.recorded_at).label("said_at"),
            case((OutreachPlan.status == "called_off", OutreachPlan.closed_at)).label("called_off_at"),
            Office.time_zone,
        )
        .join(OutreachPlanLine, OutreachPlanLine.outreach_plan_id == OutreachPlan.id)
        .join(Office, Office.id == OutreachPlan.office_id)
        .outerjoin(said, said.c.subject_id == OutreachPlan.id)
        .where(OutreachPlan.day.between(first, last))
        .order_by(OutreachPlan.day, OutreachPlan.id)
    ).all()


# --- writing -----------------------------------------------------------------------------------------------------


def _values(office: OfficeView, planning: Planning) -> tuple[dict[str, Any], dict[int, int]]:
    expected = {items.get(code).id: quantity for code, quantity in planning.expected.items() if quantity}
    check_plan(planning.place, planning.starts, planning.ends, expected)
    values = {
        "day": planning.day,
        "place": check_text(planning.place, WORDS_LENGTH),
        "team_id": _team(office, planning.team_code),
        "team": check_text(planning.team, WORDS_LENGTH),
        "starts": planning.starts,
        "ends": planning.ends,
        "note": check_text(planning.note, NOTE_LENGTH),
    }
    return values, expected


def _team(office: OfficeView, code: str) -> int | None:
    if not code:
        return None
    team = select(Office.id).where(
        Office.code == code.replace("\x00", ""), Office.kind == OfficeKind.OUTREACH.value, within(office.path)
    )
    team_id = db.session.scalar(team)
    if team_id is None:
        raise Invalid("outreach_team_unknown")
    return team_id


def _put_lines(session: Session, plan_id: int, expected: Mapping[int, int]) -> None:
    rows = [{"outreach_plan_id": plan_id, "item_id": item, "expected": q} for item, q in sorted(expected.items())]
    session.execute(insert(OutreachPlanLine), rows)


def _open(session: Session, office: OfficeView, day: date, place: str) -> None:
    calendars.open_for_plan(session, office.id, office.settings.working_days, day, place)


def _change(session: Session, plan_id: int, seen: int, values: Mapping[str, object]) -> date:
    """Change a plan that is still planned and as it was `seen`; its day."""
    unchanged = (OutreachPlan.id == plan_id, OutreachPlan.version == seen, OutreachPlan.status == "planned")
    day = session.execute(
        update(OutreachPlan)
        .where(*unchanged)
        .values(**values, version=OutreachPlan.version + 1)
        .returning(OutreachPlan.day)
    ).scalar_one_or_none()
    if day is None:
        check_planned(session.execute(select(OutreachPlan.status).where(OutreachPlan.id == plan_id)).scalar_one())
        raise Refusal("outreach_changed")
    return day


# --- reading -----------------------------------------------------------------------------------------------------

_team_office = aliased(Office)


def _query() -> Any:
    return (
        select(
            *OutreachPlan.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path.label("office_path"),
            Office.time_zone,
            Office.working_days,
            _team_office.code.label("team_code"),
            _team_office.name.label("team_name"),
            Person.full_name.label("made_by"),
        )
        .join(Office, Office.id == OutreachPlan.office_id)
        .outerjoin(_team_office, _team_office.id == OutreachPlan.team_id)
        .outerjoin(Person, Person.id == OutreachPlan.made_by_id)
    )


def _row(plan_id: int) -> Any:
    return the_row(_query().where(OutreachPlan.id == plan_id), NotFound("outreach_not_found"))


def _views(rows: Sequence[Any]) -> list[PlanView]:
    if not rows:
        return []
    weeks = {row.office_id: row.working_days for row in rows}
    by_office = calendars.of_offices(weeks.items(), min(row.day for row in rows), max(row.day for row in rows))
    lines = _lines([row.id for row in rows])
    plain = set(PlanView.__dataclass_fields__) - {"lines", "office_open", "team", "team_words", "team_code"}
    return [
        PlanView(
            **{name: getattr(row, name) for name in plain},
            team_code=row.team_code or "",
            team=", ".join(part for part in (row.team_name, row.team) if part),
            team_words=row.team,
            office_open=by_office[row.office_id].is_open(row.day),
            lines=tuple(lines[row.id]),
        )
        for row in rows
    ]


def _lines(plan_ids: Sequence[int]) -> dict[int, list[PlanLineView]]:
    rows = db.session.execute(
        select(OutreachPlanLine, Item.code)
        .join(Item, Item.id == OutreachPlanLine.item_id)
        .where(OutreachPlanLine.outreach_plan_id.in_(plan_ids))
        .order_by(Item.position)
    )
    found: dict[int, list[PlanLineView]] = defaultdict(list)
    for line, code in rows:
        found[line.outreach_plan_id].append(PlanLineView(item_code=code, expected=line.expected, actual=line.actual))
    return found
