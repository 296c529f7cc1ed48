"""Stated rates: a published or a manager's figure of demand, used while there is too little history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.access import Action, Actor
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid
from inventory.domain.texts import check_text
from inventory.models import Item, StatedRate
from inventory.services import audit, items, offices


@dataclass(frozen=True, kw_only=True)
class RateView:
    """A rate in units of the item per working day, where it comes from, and the office's day on which it was said."""

    item_code: str
    per_day: float
    source: str
    stated_on: date


def state(actor: Actor, now: datetime, office_code: str, item_code: str, per_day: int, source: str) -> None:
    """State an office's demand for an item; a second word replaces the first.

    Raises Invalid `rate_needs_source`, NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.MANAGE_OFFICES, office_code)
    item = items.get(item_code)
    source = check_text(source, 200)
    if not source:
        raise Invalid("rate_needs_source")
    said = {"per_day": per_day, "source": source, "stated_on": office.today(now)}

    def put(session: Session) -> None:
        statement = insert_or(session, StatedRate.__table__).values(office_id=office.id, item_id=item.id, **said)
        session.execute(statement.on_conflict_do_update(index_elements=["office_id", "item_id"], set_=said))
        facts = {"setting": "stated_rate", "item": item.code, "after": per_day, "reason": source}
        audit.note(session, now, actor, Event.SETTING_CHANGED, office_id=office.id, subject=office.code, facts=facts)

    write(put)


def of_office(actor: Actor, office_code: str) -> list[RateView]:
    """The rates stated for an office, in the items' order."""
    office = offices.get(actor, Action.MANAGE_OFFICES, office_code)
    rows = db.session.execute(
        select(StatedRate, Item.code)
        .join(Item, Item.id == StatedRate.item_id)
        .where(StatedRate.office_id == office.id)
        .order_by(Item.position)
    )
    return [
        RateView(item_code=code, per_day=rate.per_day, source=rate.source, stated_on=rate.stated_on)
        for rate, code in rows
    ]
