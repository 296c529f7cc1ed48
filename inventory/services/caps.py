"""Day caps: how many prints of an item an office allows itself a day, from when to when, and who said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, require
from inventory.domain.caps import check_cap, check_stands
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.offices import local_day
from inventory.domain.texts import check_text
from inventory.models import DayCap, Item, Office, Person
from inventory.services import items, offices, plan_steps
from inventory.services.consumption import FIRST_DAY
from inventory.services.lookup import the_row
from inventory.services.plan_steps import StepView, Taken

SUBJECT = "cap"


@dataclass(frozen=True, kw_only=True)
class Capping:
    """At most so many prints a day, from the office's own `first_day` to `last_day`, None for no end in sight."""

    item_code: str
    most_a_day: int
    first_day: date
    last_day: date | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class CapView:
    id: int
    office_id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    item_code: str
    most_a_day: int
    first_day: date
    last_day: date | None
    version: int
    withdrawn: bool
    made_by: str | None
    recorded_at: datetime
    note: str


@dataclass(frozen=True, kw_only=True)
class CapDetail:
    cap: CapView
    steps: tuple[StepView, ...]


def add(actor: Actor, now: datetime, request_id: UUID, office_code: str, capping: Capping) -> int:
    """Cap an office's prints of an item; the cap's id. It may have begun before it is entered.

    Raises NotFound, NotAllowed; Invalid `cap_too_far`, `day_too_early`, `period_backwards` and what `check_quantity`
    raises; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.PLAN_OUTREACH, office_code)
    item = items.get(capping.item_code)
    if capping.first_day < FIRST_DAY:
        raise Invalid("day_too_early", day=capping.first_day, first=FIRST_DAY)
    check_cap(capping.most_a_day, capping.first_day, capping.last_day, office.today(now))
    values = {
        "office_id": office.id,
        "item_id": item.id,
        "most_a_day": capping.most_a_day,
        "first_day": capping.first_day,
        "last_day": capping.last_day,
        "note": check_text(capping.note, NOTE_LENGTH),
        "made_by_id": actor.person_id,
        "recorded_at": now,
    }

    def put(session: Session) -> Taken:
        made = session.execute(insert(DayCap).values(values).returning(DayCap.id)).scalar_one()
        return Taken(subject_id=made, office_id=office.id, step="added")

    return plan_steps.take(actor, now, request_id, SUBJECT, {"office": office.id} | asdict(capping), put)


def end(actor: Actor, now: datetime, request_id: UUID, cap_id: int, seen: int, last_day: date | None) -> int:
    """Say until which day a cap counts, None for no end in sight; its id. `seen` is the version that this is about: of
    two who change a cap at once, one does.

    Raises NotFound `cap_not_found`, NotAllowed; Invalid `period_backwards`; Refusal `cap_withdrawn`, `cap_changed`,
    `request_id_reused`.
    """
    found = _row(cap_id)
    require(actor, Action.PLAN_OUTREACH, found.office_path)
    check_cap(found.most_a_day, found.first_day, last_day, local_day(now, found.time_zone))

    def put(session: Session) -> Taken:
        _change(session, cap_id, seen, {"last_day": last_day})
        note = f"{found.first_day.isoformat()} – {last_day.isoformat() if last_day else '…'}"
        return Taken(subject_id=cap_id, office_id=found.office_id, step="changed", note=note)

    return plan_steps.take(actor, now, request_id, SUBJECT, {"cap": cap_id, "seen": seen, "last": last_day}, put)


def withdraw(actor: Actor, now: datetime, request_id: UUID, cap_id: int, seen: int) -> int:
    """Say that a cap was entered by mistake: it never counted; its id. Raises what `end` raises."""
    found = _row(cap_id)
    require(actor, Action.PLAN_OUTREACH, found.office_path)

    def put(session: Session) -> Taken:
        _change(session, cap_id, seen, {"withdrawn_at": now})
        return Taken(subject_id=cap_id, office_id=found.office_id, step="removed")

    return plan_steps.take(actor, now, request_id, SUBJECT, {"cap": cap_id, "seen": seen, "step": "withdraw"}, put)


def get(actor: Actor, cap_id: int, action: Action = Action.VIEW_STOCK) -> CapDetail:
    """One cap with the steps taken on it. Raises NotFound `cap_not_found`, NotAllowed."""
    found = _row(cap_id)
    require(actor, action, found.office_path)
    return CapDetail(cap=_views([found])[0], steps=tuple(plan_steps.of_subject(SUBJECT, cap_id)))


def of_office(actor: Actor, office_code: str, limit: int = 50) -> list[CapView]:
    """An office's caps, the newest first; those that were withdrawn included."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query().where(DayCap.office_id == office.id).order_by(DayCap.first_day.desc(), DayCap.id.desc())
    return _views(db.session.execute(found.limit(limit)).all())


def counting(first: date, last: date) -> Sequence[Any]:
    """For the projection: (office_id, item_id, most_a_day, first_day, last_day) of caps that touch these days."""
    return db.session.execute(
        select(DayCap.office_id, DayCap.item_id, DayCap.most_a_day, DayCap.first_day, DayCap.last_day).where(
            DayCap.withdrawn_at.is_(None),
            DayCap.first_day <= last,
            or_(DayCap.last_day.is_(None), DayCap.last_day >= first),
        )
    ).all()


def _change(session: Session, cap_id: int, seen: int, values: Mapping[str, object]) -> None:
    unchanged = (DayCap.id == cap_id, DayCap.version == seen, DayCap.withdrawn_at.is_(None))
    changed = session.execute(
        update(DayCap).where(*unchanged).values(**values, version=DayCap.version + 1).returning(DayCap.id)
    ).scalar_one_or_none()
    if changed is None:
        withdrawn_at = session.execute(select(DayCap.withdrawn_at).where(DayCap.id == cap_id)).scalar_one()
        check_stands(withdrawn_at is not None)
        raise Refusal("cap_changed")


def _query() -> Any:
    return (
        select(
            *DayCap.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path.label("office_path"),
            Office.time_zone,
            Item.code.label("item_code"),
            Person.full_name.label("made_by"),
        )
        .join(Office, Office.id == DayCap.office_id)
        .join(Item, Item.id == DayCap.item_id)
        .outerjoin(Person, Person.id == DayCap.made_by_id)
    )


def _row(cap_id: int) -> Any:
    return the_row(_query().where(DayCap.id == cap_id), NotFound("cap_not_found"))


def _views(rows: Sequence[Any]) -> list[CapView]:
    plain = set(CapView.__dataclass_fields__) - {"withdrawn"}
    return [
        CapView(**{name: getattr(row, name) for name in plain}, withdrawn=row.withdrawn_at is not None) for row in rows
    ]
