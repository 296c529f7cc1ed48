"""How good the low-stock alerts were, by region and month, from history: see `domain.alert_figures`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from sqlalchemy import and_, or_, select

from inventory.db import db, in_batches
from inventory.domain.access import Action, Actor
from inventory.domain.alert_figures import (
    Figures,
    Foretold,
    Record,
    Step,
    Verdict,
    figures,
    foretold,
    verdict,
    warnings_of,
)
from inventory.domain.alerts import Level, Subject
from inventory.domain.calendars import check_period
from inventory.domain.errors import Invalid
from inventory.domain.facts import is_known
from inventory.domain.ledger import EFFECTS
from inventory.domain.offices import local_day
from inventory.models import Alert, AlertEvent, DailyTotal, Office
from inventory.models.offices import within
from inventory.services import calendars, daily_totals, offices, projection_inputs
from inventory.services.daily_totals import Days
from inventory.services.offices import OfficeView

LONGEST_PERIOD = 366
"""Days: a year of months."""
LOOK_BACK = 120
"""Days before the period, in which a warning of a stock-out within it may have opened, and what arrived last."""
FOLLOW_UP = 120
"""Days after it, in which the demand after a warning shows."""
MOST_STOCKS = 6_000
"""Of the largest province there are some two thousand."""
MOST_REGIONS = 60
BATCH = 1_000
"""Stocks whose days are held in memory at a time."""

_ARRIVED = [(kind.value, reason) for (kind, reason), effect in EFFECTS.items() if effect.received > 0 < effect.store]

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Region:
    """`code`: of an office right below the one that was asked about, with all below it, or of that office itself.
    `months` by their first day, the newest first."""

    code: str
    name: str
    total: Figures
    months: tuple[tuple[date, Figures], ...]


@dataclass(frozen=True, kw_only=True)
class AlertFigures:
    """`regions`: those with a stock-out or a warning, the one with the most stock-outs that were not warned of in time
    first; at most MOST_REGIONS, and `left_out` counts the others."""

    office: OfficeView
    total: Figures
    months: tuple[tuple[date, Figures], ...]
    regions: tuple[Region, ...]
    left_out: int


def of_office(actor: Actor, now: datetime, office_code: str, since: date, until: date) -> AlertFigures:
    """The figures of an office and those below it that the actor may see, from `since` to `until` (the offices' own
    days): stock-outs that began then, and warnings that opened then.

    Raises NotFound, NotAllowed, Invalid `period_backwards`, `period_too_long`, `too_many_stocks`.
    """
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    check_period(since, until, LONGEST_PERIOD)
    stocks = [each for each in projection_inputs.stocks_in_reach(actor, office.path) if each.first_on is not None]
    if len(stocks) > MOST_STOCKS:
        raise Invalid("too_many_stocks", limit=MOST_STOCKS)
    whole, by_region = _Sums(), defaultdict[str, _Sums](_Sums)
    paths = _paths(office)
    for some in in_batches(stocks, BATCH):
        for stock, judged in _judged(some, now, since, until):
            whole.add(judged)
            by_region[_region_of(office.path, paths[stock.office_id])].add(judged)
    names = _names(by_region)
    found = [sums.region(code, names) for code, sums in by_region.items() if sums.any]
    found.sort(key=lambda each: (-(each.total.late + each.total.missed), -each.total.false, each.code))
    return AlertFigures(
        office=office,
        total=whole.total(),
        months=whole.months(),
        regions=tuple(found[:MOST_REGIONS]),
        left_out=len(found[MOST_REGIONS:]),
    )


# --- adding up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """Of one stock: what came of it, each with the first day of its month."""

    outs: Sequence[tuple[date, Foretold]]
    verdicts: Sequence[tuple[date, Verdict]]


class _Sums:
    def __init__(self) -> None:
        self._outs: dict[date, list[Foretold]] = defaultdict(list)
        self._verdicts: dict[date, list[Verdict]] = defaultdict(list)

    def add(self, judged: _Judged) -> None:
        for month, each in judged.outs:
            self._outs[month].append(each)
        for month, kind in judged.verdicts:
            self._verdicts[month].append(kind)

    @property
    def any(self) -> bool:
        return bool(self._outs or self._verdicts)

    def total(self) -> Figures:
        return figures(
            (each for some in self._outs.values() for each in some),
            (kind for some in self._verdicts.values() for kind in some),
        )

    def months(self) -> tuple[tuple[date, Figures], ...]:
        months = sorted({*self._outs, *self._verdicts}, reverse=True)
        return tuple((month, figures(self._outs.get(month, ()), self._verdicts.get(month, ()))) for month in months)

    def region(self, code: str, names: dict[str, str]) -> Region:
        return Region(code=code, name=names[code], total=self.total(), months=self.months())


def _region_of(top: str, path: str) -> str:
    """The code of the office right below `top` (a path) that holds `path`; that of the top itself for its own."""
    below = path[len(top) :]
    return below.partition("/")[0] if below else top.rstrip("/").rpartition("/")[2]


# --- judging -----------------------------------------------------------------------------------------------------


def _judged(stocks: Sequence[Any], now: datetime, since: date, until: date) -> Iterator[tuple[Any, _Judged]]:
    first = since - timedelta(days=LOOK_BACK)
    # The latest day that is over in every office's time zone.
    yesterday = min(local_day(now, zone) for zone in {each.time_zone for each in stocks}) - timedelta(days=1)
    last = min(until + timedelta(days=FOLLOW_UP), yesterday)
    if last < since:
        return
    steps = _steps(stocks, first, last)
    for stock, record in _records(stocks, first, last, set(steps)):
        warnings = warnings_of(steps.get((stock.office_id, stock.item_id), ()))

        def month_of(day: int) -> date | None:
            on = first + timedelta(days=day)
            return on.replace(day=1) if since <= on <= until else None

        outs = [(month_of(each.stock_out.first), each) for each in foretold(record, warnings, stock.lead_time_days)]
        opened = [(month_of(each.step.day), each) for each in warnings]
        verdicts = [(month, verdict(record, each)) for month, each in opened if month is not None]
        yield stock, _Judged([(month, each) for month, each in outs if month is not None], verdicts)


def _records(stocks: Sequence[Any], first: date, last: date, alerted: set[Pair]) -> Iterator[tuple[Any, Record]]:
    """The stocks that were ever empty or warned of, with their days from `first` to `last`."""
    days = daily_totals.read_days(stocks, first, last)
    after = np.array([stock.store for stock in stocks], dtype=np.int64) - days.changed_since
    later = np.cumsum(days.store_change[:, ::-1], axis=1, dtype=np.int64)[:, ::-1]
    opening = after[:, None] - later
    closing = opening + days.store_change
    known = _known(stocks, days, first)
    by_office = calendars.of_offices({each.office_id: each.working_days for each in stocks}.items(), first, last)
    came = _arrivals(stocks, first, last)
    has_alert = np.array([(stock.office_id, stock.item_id) in alerted for stock in stocks], dtype=bool)
    for row in np.flatnonzero((known & (closing <= 0)).any(axis=1) | has_alert).tolist():
        stock = stocks[row]
        arrived = came.get((stock.office_id, stock.item_id), {})
        yield (
            stock,
            Record(
                open=(np.array(by_office[stock.office_id].flags(first, last)) & known[row]).tolist(),
                closing=closing[row].tolist(),
                arrived=[arrived.get(column, 0) for column in range(closing.shape[1])],
                demand=(days.printed[row] - np.minimum(days.served[row], days.printed[row])).tolist(),
                censored=((opening[row] <= 0) | (closing[row] <= 0)).tolist(),
            ),
        )


def _known(stocks: Sequence[Any], days: Days, first: date) -> np.ndarray:
    """(S,T) from the day after recording began to the office's last entry."""
    columns = np.arange(days.printed.shape[1])
    began = np.array([(stock.first_on - first).days for stock in stocks])
    return (columns > began[:, None]) & (columns <= days.last_recorded[:, None])


def _arrivals(stocks: Sequence[Any], first: date, last: date) -> dict[Pair, dict[int, int]]:
    """What came into the stores, by stock and column."""
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.item_id, DailyTotal.day, DailyTotal.quantity).where(
            DailyTotal.office_id.in_({stock.office_id for stock in stocks}),
            DailyTotal.day.between(first, last),
            or_(*(and_(DailyTotal.kind == kind, DailyTotal.reason == reason) for kind, reason in _ARRIVED)),
        )
    )
    found: dict[Pair, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for office_id, item_id, day, quantity in rows:
        found[office_id, item_id][(day - first).days] += quantity
    return found


def _steps(stocks: Sequence[Any], first: date, last: date) -> dict[Pair, list[Step]]:
    """The levels of the stocks' alerts that were open in these days, by stock, in their order."""
    zones = {stock.office_id: stock.time_zone for stock in stocks}
    rows = db.session.execute(
        select(Alert.id, Alert.office_id, Alert.item_id, Alert.resolved_at, AlertEvent.at, AlertEvent.to_level)
        .add_columns(AlertEvent.facts)
        .join(AlertEvent, AlertEvent.alert_id == Alert.id)
        .where(Alert.subject == Subject.LOW_STOCK.value, Alert.office_id.in_(zones))
        .where(AlertEvent.from_level != AlertEvent.to_level)
        .where(or_(Alert.resolved_at.is_(None), Alert.resolved_at >= _midnight(first)))
        .where(Alert.opened_at < _midnight(last + timedelta(days=2)))
        .order_by(Alert.opened_at, Alert.id, AlertEvent.id)
    ).all()
    found: dict[Pair, list[Step]] = defaultdict(list)
    for place, row in enumerate(rows):
        zone, steps = zones[row.office_id], found[row.office_id, row.item_id]
        steps.append(_step(row.to_level, row.facts, (local_day(row.at, zone) - first).days))
        is_last = place + 1 == len(rows) or rows[place + 1].id != row.id
        if is_last and row.resolved_at is not None and row.to_level != Level.OK:
            # People resolved it at the level that it had.
            steps.append(Step(day=(local_day(row.resolved_at, zone) - first).days, level=Level.OK))
    return found


def _step(level: str, facts: dict[str, Any] | None, day: int) -> Step:
    said = facts or {}
    return Step(
        day=day,
        level=Level(level),
        known=is_known(said),
        store=said.get("store") or 0,
        usable=said.get("usable") or 0,
        inbound=said.get("inbound") or 0,
        lead_days=said.get("lead_days") or 0,
        review_days=said.get("review_days") or 0,
    )


def _midnight(day: date) -> datetime:
    """The earliest instant at which that day begins anywhere, near enough: a day more or less is sorted out later."""
    return datetime.combine(day - timedelta(days=1), time(), UTC)


def _paths(office: OfficeView) -> dict[int, str]:
    rows = db.session.execute(select(Office.id, Office.path).where(within(office.path)))
    return {row.id: row.path for row in rows}


def _names(codes: Iterable[str]) -> dict[str, str]:
    rows = db.session.execute(select(Office.code, Office.name).where(Office.code.in_(list(codes))))
    return {row.code: row.name for row in rows}
