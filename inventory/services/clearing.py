"""How fast offices clear their backlog, and how far digital identities lower their demand: words that are kept.

Who plans outreach plans the clearing as well: it is the office's own work. The share of digital identities lowers
every projection and with it the alerts that the office would get, and nobody has measured it yet: so it is stated by
those who set the office's lead time, who answer for no stock there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, may, require
from inventory.domain.audit import Event
from inventory.domain.clearing import SOURCE_LENGTH, check_digital, check_rate
from inventory.domain.ledger import body_digest
from inventory.domain.texts import check_text
from inventory.models import ClearingRate, DigitalShare, Item, Office, Person
from inventory.services import audit, items, offices
from inventory.services.idempotency import once


@dataclass(frozen=True, kw_only=True)
class RateView:
    """Cards a working day (None: not planned), where it comes from, who said so and on which day of the office's."""

    item_code: str
    per_day: int | None
    source: str
    stated_on: date
    stated_by: str | None


@dataclass(frozen=True, kw_only=True)
class DigitalView:
    """The share (0 to 0.9) by which usual demand is lower, and who said so, from where, on which day. `of_office` is
    the name of the office above that it was said of, empty where it was said of this one."""

    share: float
    source: str
    stated_on: date
    stated_by: str | None
    of_office: str = ""


def state_rate(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, item_code: str, per_day: int | None, source: str
) -> int:
    """Say how many cards of an item clear the backlog on a working day, None for no such plan; a later word counts
    instead of an earlier one. The word's id.

    Raises NotFound, NotAllowed; Invalid `clearing_of_blanks_only`, `rate_needs_source` and what `check_quantity`
    raises; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.PLAN_OUTREACH, office_code)
    item = items.get(item_code)
    source = check_text(source, SOURCE_LENGTH)
    check_rate(per_day, source, is_blank=item.is_blank)
    said = {"office_id": office.id, "item_id": item.id, "per_day": per_day, "source": source}
    return _state(actor, now, request_id, ClearingRate, said, office.today(now))


def state_digital(actor: Actor, now: datetime, request_id: UUID, office_code: str, share: float, source: str) -> int:
    """Say by which share digital identities lower the demand of an office, and of those below it of which nothing else
    was said; 0 for not at all. A later word counts instead of an earlier one. The word's id.

    Raises NotFound, NotAllowed; Invalid `digital_share_range`, `rate_needs_source`; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.MANAGE_OFFICES, office_code)
    source = check_text(source, SOURCE_LENGTH)
    check_digital(share, source)
    said = {"office_id": office.id, "share": share, "source": source}
    return _state(actor, now, request_id, DigitalShare, said, office.today(now))


def rates(actor: Actor, office_code: str) -> list[RateView]:
    """The clearing rates that count for an office, in the items' order."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows = db.session.execute(
        select(ClearingRate, Item.code, Person.full_name)
        .join(Item, Item.id == ClearingRate.item_id)
        .outerjoin(Person, Person.id == ClearingRate.stated_by_id)
        .where(ClearingRate.id.in_(_newest_rates()), ClearingRate.office_id == office.id)
        .order_by(Item.position)
    )
    return [
        RateView(item_code=code, per_day=rate.per_day, source=rate.source, stated_on=rate.stated_on, stated_by=by)
        for rate, code, by in rows
    ]


def digital_history(actor: Actor, office_code: str, limit: int = 20) -> list[DigitalView]:
    """What was said of an office's digital identities, the newest first: that one counts. Where nothing was said of
    it, what counts of the nearest office above. For those who see its stock or manage it."""
    office = offices.get(actor, Action.VIEW_OFFICE, office_code)
    if not may(actor, Action.VIEW_STOCK, office.path):
        require(actor, Action.MANAGE_OFFICES, office.path)
    said = _digital(Office.id == office.id, limit)
    if said:
        return [replace(each, of_office="") for each in said]
    codes = office.path.rstrip("/").split("/")
    above = ["/".join(codes[:number]) + "/" for number in range(1, len(codes))]
    return _digital(Office.path.in_(above), 1)


def _digital(of: ColumnElement[bool], limit: int) -> list[DigitalView]:
    """Of several offices, those of the lowest come first."""
    rows = db.session.execute(
        select(DigitalShare, Person.full_name, Office.name)
        .join(Office, Office.id == DigitalShare.office_id)
        .outerjoin(Person, Person.id == DigitalShare.stated_by_id)
        .where(of)
        .order_by(func.length(Office.path).desc(), DigitalShare.id.desc())
        .limit(limit)
    )
    return [
        DigitalView(share=said.share, source=said.source, stated_on=said.stated_on, stated_by=by, of_office=name)
        for said, by, name in rows
    ]


def all_rates() -> Sequence[Any]:
    """For the projection: (office_id, item_id, per_day, source) of every rate that counts."""
    return db.session.execute(
        select(ClearingRate.office_id, ClearingRate.item_id, ClearingRate.per_day, ClearingRate.source).where(
            ClearingRate.id.in_(_newest_rates()), ClearingRate.per_day.is_not(None)
        )
    ).all()


def all_digital() -> Sequence[Any]:
    """For the projection: (office_id, office_name, path, share, source, stated_on) of the share that counts of each
    office that one was stated of, those above before those below. It counts for all below that have none."""
    newest = select(func.max(DigitalShare.id)).group_by(DigitalShare.office_id)
    columns = DigitalShare.share, DigitalShare.source, DigitalShare.stated_on
    return db.session.execute(
        select(DigitalShare.office_id, Office.name.label("office_name"), Office.path, *columns)
        .join(Office, Office.id == DigitalShare.office_id)
        .where(DigitalShare.id.in_(newest))
        .order_by(func.length(Office.path), Office.path)
    ).all()


def _newest_rates() -> Any:
    return select(func.max(ClearingRate.id)).group_by(ClearingRate.office_id, ClearingRate.item_id)


def _state(actor: Actor, now: datetime, request_id: UUID, table: type[Any], said: dict[str, Any], today: date) -> int:
    digest = body_digest(actor.person_id, (), said)
    stamp = {
        "request_id": request_id,
        "request_digest": digest,
        "stated_on": today,
        "stated_at": now,
        "stated_by_id": actor.person_id,
    }

    def put(session: Session) -> int:
        facts = {"setting": table.__tablename__, "after": str(said.get("share", said.get("per_day")))}
        audit.note(session, now, actor, Event.SETTING_CHANGED, office_id=said["office_id"], facts=facts)
        return session.execute(insert(table).values(**said, **stamp).returning(table.id)).scalar_one()

    return once(table, table.id, request_id, digest, put)
