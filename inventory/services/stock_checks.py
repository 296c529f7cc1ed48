"""Stocks that postings changed, held against their cases within seconds: a fall raises at once, whatever caused it.

The thresholds are those of the stored projection; only the stock, and what is on its way to it, is read anew. The
nightly review, which projects anew, comes to all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Select, case, delete, exists, select, tuple_
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.alerts import Subject, next_level
from inventory.domain.arrivals import Due
from inventory.domain.demand import FanParts, chances_despite, chances_of
from inventory.domain.offices import OfficeKind
from inventory.models import Alert, Balance, Item, Office, StockCheck, StoredProjection
from inventory.services import case_changes, projection_inputs
from inventory.services.case_changes import Key, change_of, level_of
from inventory.services.explanations import fan_parts
from inventory.services.projections import due_facts, reading_of

AT_ONCE = 500
"""Stocks that one transaction looks at."""
PROBABILITIES = {"stockout_on": 0.5, "stockout_early_on": 0.1, "stockout_late_on": 0.9}


def check_stocks(clock: Callable[[], datetime], limit: int = AT_ONCE) -> int:
    """Look at the stocks that wait for it, the longest waiting first; how many there were.

    Safe from any number of processes: one at a time does it, and not while a review is at it. A posting that comes
    meanwhile leaves its stock waiting. A stock that was never reviewed is left to the review.
    """
    if not db.session.scalar(select(exists().select_from(StockCheck))):
        db.session.rollback()
        return 0

    def work(session: Session) -> int:
        if not case_changes.at_once_or_not_at_all(session):
            return 0
        waiting = session.execute(_WAITING.limit(limit)).all()
        if waiting:
            _bring_up_to_date(session, clock(), sorted({(row.stock_office_id, row.item_id) for row in waiting}))
            _settle(session, waiting)
        return len(waiting)

    return write(work)


# --- parts -------------------------------------------------------------------------------------------------------

_Pair = tuple[int, int]

# What an outreach team holds counts for its office.
_IS_TEAM = (Office.kind == OfficeKind.OUTREACH.value) & Office.parent_id.is_not(None)
_WAITING: Select[Any] = (
    select(StockCheck.office_id, StockCheck.item_id, StockCheck.postings)
    .add_columns(case((_IS_TEAM, Office.parent_id), else_=StockCheck.office_id).label("stock_office_id"))
    .join(Office, Office.id == StockCheck.office_id)
    .order_by(StockCheck.since, StockCheck.office_id, StockCheck.item_id)
)


def _settle(session: Session, looked_at: Sequence[Any]) -> None:
    """Take off the list what no posting has touched since it was read. One that is under way holds its row, and will
    have counted it up: nobody waits for it here."""
    seen = [(row.office_id, row.item_id, row.postings) for row in looked_at]
    same = tuple_(StockCheck.office_id, StockCheck.item_id, StockCheck.postings).in_(seen)
    free = select(StockCheck.office_id, StockCheck.item_id).where(same).with_for_update(skip_locked=True)
    rows = session.execute(free).all()
    if rows:
        pairs = [(row.office_id, row.item_id) for row in rows]
        session.execute(delete(StockCheck).where(tuple_(StockCheck.office_id, StockCheck.item_id).in_(pairs)))


def _bring_up_to_date(session: Session, now: datetime, pairs: Sequence[_Pair]) -> None:
    found = _facts_now(session, now, pairs)
    cases = case_changes.unsettled(session, [Subject.LOW_STOCK], tuple_(Alert.office_id, Alert.item_id).in_(pairs))
    changes, same = [], []
    for pair, facts in found.items():
        key: Key = (Subject.LOW_STOCK, *pair)
        case = cases.get(key)
        level = next_level(level_of(case), reading_of(facts))
        change = change_of(case, key, level, facts, now, reopens_only_worse=True)
        if change:
            changes.append(change)
        elif case is not None and case.resolved_at is None:
            same.append((case.id, facts))
    case_changes.apply(session, None, now, changes)
    case_changes.say(session, same)


def _facts_now(session: Session, now: datetime, pairs: Sequence[_Pair]) -> dict[_Pair, dict[str, Any]]:
    """The facts of the stored projections with the stock of now, in the order of the pairs."""
    rows = session.execute(
        select(
            Balance.office_id,
            Balance.item_id,
            Balance.store,
            Balance.last_on,
            Office.time_zone,
            Office.working_days,
            Office.lead_time_days,
            Item.pack_size,
            StoredProjection.on_day,
            StoredProjection.facts,
        )
        .join(Office, Office.id == Balance.office_id)
        .join(Item, Item.id == Balance.item_id)
        .join(
            StoredProjection,
            (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id),
        )
        .where(tuple_(Balance.office_id, Balance.item_id).in_(pairs), Office.active, Item.active)
        .order_by(Balance.office_id, Balance.item_id)
    ).all()
    by_day: dict[date, list[Any]] = defaultdict(list)
    for row, day in zip(rows, projection_inputs.last_days(rows, now), strict=True):
        by_day[day].append(row)
    found: dict[_Pair, dict[str, Any]] = {}
    for through, stocks in by_day.items():
        on_way = projection_inputs.inbound(stocks, through, past=False)
        for i, stock in enumerate(stocks):
            coming = {name: int(getattr(on_way, name)[i]) for name in ("in_transit", "on_order", "with_teams")}
            later = max((through - stock.on_day).days, 0)
            found[stock.office_id, stock.item_id] = facts_with(
                stock.facts, stock.store, coming, on_way.due[i], stock.pack_size, later
            ) | {"checked_at": now.isoformat()}
    return found


def facts_with(
    facts: Mapping[str, Any],
    store: int,
    coming: Mapping[str, int],
    due: Sequence[Due],
    pack_size: int,
    later: int = 0,
) -> dict[str, Any]:
    """The facts of a projection as they are with another store, and with what is `coming` to it, of which so much is
    `due`. The demand ahead begins `later` days after the one that was projected: those days are over."""
    usable, inbound = store - facts["backlog"], sum(coming.values())
    after = {**facts, **coming, "store": store, "usable": usable, "inbound": inbound, "due": due_facts(due)}
    if facts["order_up_to"] is None or "ahead" not in facts:
        return after
    missing = max(facts["order_up_to"] - store - inbound, 0)
    after["suggested_order"] = -(-missing // pack_size) * pack_size
    parts = fan_parts(facts)
    leads = sorted(facts.get("lead_spread") or [facts["lead_days"]])
    days = [date.fromisoformat(day) + timedelta(days=later) for day in facts["ahead"]["days"]]
    after["stockout_in_lead"] = round(float(chances_despite(parts, usable, _opened(due, days, parts), leads).mean()), 4)
    chances = chances_of(parts, usable)
    for name, probability in PROBABILITIES.items():
        after[name] = _first(days, chances >= probability, facts[name], fallen=store <= facts["store"])
    return after | _cover(facts, parts, usable)


def _opened(due: Sequence[Due], days: Sequence[date], parts: FanParts) -> list[tuple[float, int]]:
    """What is due by the number of open days ahead at whose end it is there; what is there already by 0."""
    columns, opened = [day.toordinal() for day in days], np.asarray(parts.open_days_ahead, dtype=float)
    columns, opened = [columns[0] - 1, *columns], np.concatenate(([0.0], opened))
    return [
        (0.0 if each.on_day is None else float(np.interp(each.on_day.toordinal() - 1, columns, opened)), each.quantity)
        for each in due
        if each.on_day is None or each.on_day <= days[-1]
    ]


def _first(days: Sequence[date], reached: np.ndarray, before: str | None, *, fallen: bool) -> str | None:
    """The first day on which it is so likely; a day beyond the fan stands as it was unless the stock has grown."""
    if reached.any():
        return days[int(reached.argmax())].isoformat()
    return before if fallen and before is not None and before > days[-1].isoformat() else None


def _cover(facts: Mapping[str, Any], parts: Any, usable: int) -> dict[str, Any]:
    """For how many open days the usable blanks last at the expected demand."""
    if usable <= 0:
        return {"cover_days": 0.0, "cover_capped": False}
    mean, number = np.asarray(parts.cumulative_mean), np.asarray(parts.open_days_ahead)
    if usable <= mean[-1] and mean[-1] > 0:
        rising = np.concatenate(([True], np.diff(mean) > 0))
        return {"cover_days": round(float(np.interp(usable, mean[rising], number[rising])), 1), "cover_capped": False}
    if usable > facts["usable"] and facts["cover_days"] is not None:
        return {"cover_days": facts["cover_days"], "cover_capped": True}
    per_day = mean[-1] / max(float(number[-1]), 1.0)
    return {"cover_days": round(usable / per_day, 1) if per_day > 0 else facts["cover_days"]}
