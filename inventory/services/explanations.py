"""Why a projection says what it says: its facts, the days behind it, and what is under way, for any one stock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import literal, select, tuple_

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import Subject
from inventory.domain.arrivals import LONGEST_WAIT
from inventory.domain.demand import FanParts, fan_of
from inventory.domain.series import Closing
from inventory.models import Alert, Item, Office, StoredProjection
from inventory.models.offices import within
from inventory.services import arrivals, calendars, items, offices, series
from inventory.services.arrivals import Expected
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView, in_reach

PAST_DAYS = 60
FAN = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""The middle, and bands of 50, 80 and 95 %."""
"""How far the calendar is read: the longest lead time, and a closure in it."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The latest review of an office's stock of an item.

    `facts` are those of `projections.StockProjection`; they, `level`, `on_day` and `made_at` are empty before the
    first review. `past` ends with the office's today. `expected`: what is under way now.
    """

    office: OfficeView
    item: ItemView
    level: str | None
    on_day: date | None
    made_at: datetime | None
    facts: dict[str, Any]
    alert_id: int | None
    past: tuple[Closing, ...]
    expected: tuple[Expected, ...]


def of_stock(actor: Actor, now: datetime, office_code: str, item_code: str) -> Explanation:
    """Raises NotFound `office_not_found`, `item_not_found`; NotAllowed."""
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    item = items.get(item_code)
    stored = db.session.get(StoredProjection, (office.id, item.id))
    today = office.today(now)
    return Explanation(
        office=office,
        item=item,
        level=stored.level if stored else None,
        on_day=stored.on_day if stored else None,
        made_at=stored.made_at if stored else None,
        facts=_with_fan(stored.facts) if stored else {},
        alert_id=_open_alert(office.id, item.id),
        past=series.closings_of(office.id, item.id, today - timedelta(days=PAST_DAYS - 1), today),
        expected=tuple(under_way(office, item.id, today)),
    )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The latest review of a stock, as it was kept; `made_at` is aware UTC."""

    office_code: str
    office_name: str
    item_code: str
    level: str
    on_day: date
    made_at: datetime
    facts: dict[str, Any]


def stored(actor: Actor, after: tuple[str, str] | None, limit: int, *, office_code: str | None = None) -> list[Stored]:
    """The latest reviews of the stocks in reach, of an office and those below it if one is given, in the order of the
    codes of office and item, from behind such a pair on. Raises NotFound, NotAllowed for a given office."""
    key = (Office.code, Item.code)
    query = (
        select(
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            StoredProjection.level,
            StoredProjection.on_day,
            StoredProjection.made_at,
            StoredProjection.facts,
        )
        .join(Office, Office.id == StoredProjection.office_id)
        .join(Item, Item.id == StoredProjection.item_id)
        .where(in_reach(reach(actor, Action.VIEW_ALERT)))
    )
    if office_code is not None:
        query = query.where(within(offices.get(actor, Action.VIEW_ALERT, office_code).path))
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*(literal(each) for each in after)))
    return [Stored(**row._mapping) for row in db.session.execute(query.order_by(*key).limit(limit))]


def outlook_of(
    actor: Actor, now: datetime, office_code: str, item_code: str
) -> tuple[dict[str, Any], tuple[Expected, ...]]:
    """The facts of the latest review with their fan, empty before the first one, and what is under way now, for a
    picture of the stock. Raises NotFound `office_not_found`, `item_not_found`; NotAllowed."""
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    item = items.get(item_code)
    stored = db.session.get(StoredProjection, (office.id, item.id))
    facts = _with_fan(stored.facts) if stored else {}
    return facts, tuple(under_way(office, item.id, office.today(now)))


def _with_fan(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with the fan that their figures describe: quantiles of the demand up to some of the days ahead."""
    ahead = facts.get("ahead")
    if not ahead or "fan" in facts:
        return facts
    lines = fan_of(fan_parts(facts), FAN)
    return facts | {"fan": {"days": ahead["days"]} | {str(p): row.tolist() for p, row in zip(FAN, lines, strict=True)}}


def fan_parts(facts: Mapping[str, Any]) -> FanParts:
    """What the fan is drawn from, of the facts of a projection that has one (`ahead`). Where they say nothing of prints
    that are planned, there are none."""
    nothing = [0.0] * len(facts["ahead"]["days"])
    known = {"cumulative_planned": nothing, "cumulative_planned_variance": nothing, **facts, **facts["ahead"]}
    drawn: dict[str, Any] = {
        field.name: np.array(known[field.name]) if isinstance(known[field.name], list) else known[field.name]
        for field in fields(FanParts)
    }
    return FanParts(**drawn)


def _open_alert(office_id: int, item_id: int) -> int | None:
    return db.session.scalar(
        select(Alert.id).where(
            Alert.office_id == office_id,
            Alert.item_id == item_id,
            Alert.subject == Subject.LOW_STOCK.value,
            Alert.resolved_at.is_(None),
        )
    )


def under_way(office: OfficeView, item_id: int, today: date) -> list[Expected]:
    """See `arrivals.expected`, by the office's own calendar."""
    span = today - LONGEST_WAIT, today + LONGEST_WAIT
    week = office.settings.working_days
    calendar = calendars.of_offices([(office.id, week)], *span)[office.id]
    return arrivals.expected(office.id, item_id, office.settings.lead_time_days, today, calendar.nth_open_day)
