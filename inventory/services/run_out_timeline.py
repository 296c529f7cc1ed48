"""Which stock runs out when: office by office over the coming weeks, as the last reviews expect it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import Level
from inventory.domain.facts import dues
from inventory.domain.offices import local_day
from inventory.models import Item, Office, StoredProjection
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.offices import OfficeView, in_reach
from inventory.services.run_out_calendar import COUNTRY

WEEKS = 8
PER_PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stock and the days between which it runs out: `likely`, and in eight cases of ten from `early` to `late`.

    All are None where nothing is known or the stock is `out`; `late` alone where it may last beyond what is looked
    at. `arrivals` are what is counted on, by the day, within the WEEKS.
    """

    office_code: str
    office_name: str
    item_code: str
    level: str
    early: date | None
    likely: date | None
    late: date | None
    arrivals: tuple[tuple[date, int], ...]

    @property
    def out(self) -> bool:
        return self.level == Level.OUT.value


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One page of stocks, the first to run out first, `found` in all. `office` is None for all that the actor may
    see. `reviewed_at` is aware UTC; None before the first review."""

    office: OfficeView | None
    today: date
    last: date
    reviewed_at: datetime | None
    spans: tuple[Span, ...]
    found: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PER_PAGE))


def of_office(
    actor: Actor, now: datetime, office_code: str | None = None, *, item_code: str | None = None, page: int = 1
) -> Timeline:
    """The reviewed stocks at an office and below it, or wherever the actor may look; of one item, if it is named.

    Raises NotFound `office_not_found`, `item_not_found`; NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_ALERT, office_code) if office_code else None
    kept = select(Item.id).where(Item.active)
    wanted: list[Any] = [in_reach(reach(actor, Action.VIEW_ALERT)), Office.active]
    wanted += [within(office.path)] if office else []
    wanted += [StoredProjection.item_id == items.get(item_code).id if item_code else StoredProjection.item_id.in_(kept)]
    today = office.today(now) if office else local_day(now, COUNTRY)
    last = today + timedelta(days=7 * WEEKS - 1)
    stocks = select(func.count(), func.max(StoredProjection.made_at)).select_from(StoredProjection)
    found, reviewed_at = db.session.execute(
        stocks.join(Office, Office.id == StoredProjection.office_id).where(*wanted)
    ).one()
    page = min(max(page, 1), max(1, -(-found // PER_PAGE)))
    rows = db.session.execute(_listed(wanted).limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all()
    arrivals = _arrivals([(row.office_id, row.item_id) for row in rows], today, last)
    return Timeline(
        office=office,
        today=today,
        last=last,
        reviewed_at=reviewed_at,
        spans=tuple(_span(row, arrivals.get((row.office_id, row.item_id), ())) for row in rows),
        found=found,
        page=page,
    )


def _listed(wanted: Sequence[Any]) -> Any:
    """SQL: what is out first, then by the early day, or the likely one where there is no early one; the rest last."""
    is_out = StoredProjection.level == Level.OUT.value
    first = func.coalesce(StoredProjection.stockout_early_on, StoredProjection.stockout_on)
    return (
        select(
            StoredProjection.office_id,
            StoredProjection.item_id,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            StoredProjection.level,
            case((~is_out, StoredProjection.stockout_early_on)).label("early"),
            case((~is_out, StoredProjection.stockout_on)).label("likely"),
            case((~is_out, StoredProjection.stockout_late_on)).label("late"),
        )
        .select_from(StoredProjection)
        .join(Office, Office.id == StoredProjection.office_id)
        .join(Item, Item.id == StoredProjection.item_id)
        .where(*wanted)
        .order_by(
            case((is_out, 0), (first.is_not(None), 1), else_=2),
            case((~is_out, first)),
            case((~is_out, StoredProjection.stockout_on)),
            Office.code,
            Item.position,
            Item.id,
        )
    )


def _arrivals(
    pairs: Sequence[tuple[int, int]], today: date, last: date
) -> Mapping[tuple[int, int], tuple[tuple[date, int], ...]]:
    """Only of the stocks of one page: facts are long."""
    of_these = StoredProjection.office_id.in_({office_id for office_id, _ in pairs})
    items_of_these = StoredProjection.item_id.in_({item_id for _, item_id in pairs})
    rows = db.session.execute(
        select(StoredProjection.office_id, StoredProjection.item_id, StoredProjection.facts).where(
            of_these, items_of_these
        )
    )
    return {
        (office_id, item_id): tuple((day, quantity) for day, quantity in dues(facts) if today <= day <= last)
        for office_id, item_id, facts in rows
    }


def _span(row: Any, arrivals: tuple[tuple[date, int], ...]) -> Span:
    return Span(
        office_code=row.office_code,
        office_name=row.office_name,
        item_code=row.item_code,
        level=row.level,
        early=row.early,
        likely=row.likely,
        late=row.late,
        arrivals=arrivals,
    )
