"""What offices know of demand to come, as the projection wants it: one row a stock, one column a calendar day.

Each kind of knowledge is one query, however many stocks there are. Few offices plan anything, so what nobody has said
is shared: arrays without a word of anybody's are one value seen from everywhere (read-only, and no memory).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.backtest import Foreknowing, Foreknown
from inventory.domain.caps import REACHED
from inventory.domain.clearing import parts_of_backlog
from inventory.domain.demand import Seasons
from inventory.domain.events import Occurrence, Season, known_on, numbered
from inventory.domain.offices import local_day
from inventory.models import Office
from inventory.services import caps, clearing, coverage, events, outreach
from inventory.services.coverage import Backlog

MOST_ANNOUNCED = 0.2
"""Of the days of the history. About every third working day."""

Rows = Mapping[tuple[int, int], int]
"""Office id and item id → row."""


@dataclass(frozen=True, eq=False)
class KnownDemand:
    """S stocks, T days of history, H days ahead. Arrays may be read-only.

    season: (S, T+H) int8 (int16 with more than 127 seasons): 0 for none, else the number of a season, its place in
        `seasons` + 1. Where two overlap, the one that counts is the later to begin, else the shorter, else that of the
        smaller subtree, else that of fewer items.
    seasons: what days may have in common: all Ramadans are one, and all elections without a stated factor.
    rationed: (S, T) whether a day was under a cap and its prints reached it: demand was that much or more.
    announced: (S, T) whether outreach was planned for a day and not called off.
    cap_ahead: (S, H) most prints on a day; inf where there is no cap.
    extra: (S, H) prints expected on top of usual demand: planned outreach on its day, and the backlog at its clearing
        rate on open days until it is used up.
    factor: (S,) on usual demand: 1 less the share of digital identities.
    notes: (S,) plain JSON values that explain the others; days as ISO text.
    """

    season: np.ndarray
    seasons: tuple[Season, ...]
    rationed: np.ndarray
    announced: np.ndarray
    cap_ahead: np.ndarray
    extra: np.ndarray
    factor: np.ndarray
    notes: list[dict[str, Any]]


@dataclass(frozen=True)
class _Span:
    """The days of the arrays: `first` to `through` is history, then `ahead` days to come."""

    first: date
    through: date
    ahead: int

    @property
    def history(self) -> int:
        return (self.through - self.first).days + 1

    @property
    def last(self) -> date:
        return self.through + timedelta(days=self.ahead)

    def columns(self, first: date, last: date | None) -> slice:
        """The columns, counted from `first`, of the days that lie within the span."""
        end = self.last if last is None else min(last, self.last)
        return slice(max(0, (first - self.first).days), max(0, (end - self.first).days + 1))


def of_stocks(
    stocks: Sequence[Any],
    first_day: date,
    through: date,
    printed: np.ndarray,
    is_open_ahead: np.ndarray,
    backlog: Mapping[int, int],
) -> KnownDemand:
    """What is known now of the demand for `stocks` (rows with office_id and item_id).

    History runs from `first_day` to `through`, which `printed` (S, T) covers; `is_open_ahead` is (S, H) from the day
    after. `backlog` holds print-ready residents by office id. Outreach counts while it is planned and its day is ahead.
    """
    span = _Span(first_day, through, is_open_ahead.shape[1])
    if printed.shape != (len(stocks), span.history):
        raise ValueError(f"printed is {printed.shape}, and {(len(stocks), span.history)} was expected")
    row_of = {(stock.office_id, stock.item_id): row for row, stock in enumerate(stocks)}
    notes = _blank_notes(stocks, backlog)
    season, seasons = _seasons(stocks, span, notes)
    rationed, cap_ahead = _caps(row_of, span, printed, notes)
    extra, announced = _outreach(row_of, span, notes)
    _clear(row_of, through, is_open_ahead, backlog, extra, notes)
    return KnownDemand(
        season=season,
        seasons=seasons,
        rationed=rationed,
        announced=announced,
        cap_ahead=cap_ahead,
        extra=extra,
        factor=_factor(stocks, notes),
        notes=notes,
    )


def _blank_notes(stocks: Sequence[Any], backlog: Mapping[int, int]) -> list[dict[str, Any]]:
    return [
        {
            "outreach_count": 0,
            "outreach_prints": 0,
            "outreach_past_count": 0,
            "outreach_past_prints": 0,
            "outreach_next": None,
            "backlog": backlog.get(stock.office_id, 0),
            "backlog_part": 0,
            "backlog_outdated": None,
            "clearing_rate": None,
            "clearing_source": None,
            "cleared_on": None,
            "cleared_ahead": 0,
            "factor": 1.0,
            "digital_share": None,
            "digital_source": None,
            "digital_office": None,
            "cap": None,
            "cap_from": None,
            "cap_until": None,
            "days_rationed": 0,
            "seasons": [],
        }
        for stock in stocks
    ]


# --- seasons and events ------------------------------------------------------------------------------------------


def _seasons(stocks: Sequence[Any], span: _Span, notes: list[dict[str, Any]]) -> tuple[np.ndarray, tuple[Season, ...]]:
    return _painted(stocks, span, events.occurrences(span.first, span.last), notes)


def _painted(
    stocks: Sequence[Any], span: _Span, occurrences: Sequence[Occurrence], notes: list[dict[str, Any]] | None
) -> tuple[np.ndarray, tuple[Season, ...]]:
    """The season of each day of the span, and a note of those that end after its history, where notes are kept."""
    seasons, painted = numbered(occurrences)
    kind = np.int8 if len(seasons) <= np.iinfo(np.int8).max else np.int16
    everybodys = np.zeros(span.history + span.ahead, dtype=kind)
    narrow = any(each.path or each.item_ids for _, each in painted)
    if not narrow:
        for number, each in painted:
            everybodys[span.columns(each.first, each.last)] = number
        season = np.broadcast_to(everybodys, (len(stocks), everybodys.size))
    else:
        season = np.tile(everybodys, (len(stocks), 1))
    rows_of = _rows_of(stocks, [each for _, each in painted]) if narrow else {}
    for number, each in painted:
        rows = rows_of.get(id(each), slice(None))
        if narrow:
            season[rows, span.columns(each.first, each.last)] = number
        if notes is not None and each.last > span.through:
            _note_season(notes, rows, each)
    return season, seasons


def _rows_of(stocks: Sequence[Any], occurrences: Sequence[Occurrence]) -> dict[int, Any]:
    """The rows in which each occurrence counts, by its identity."""
    item_ids = np.array([stock.item_id for stock in stocks])
    of_office: dict[int, list[int]] = defaultdict(list)
    for row, stock in enumerate(stocks):
        of_office[stock.office_id].append(row)
    below = _offices_below({each.path for each in occurrences if each.path})
    found: dict[int, Any] = {}
    for each in occurrences:
        rows = np.arange(len(stocks))
        if each.path:
            rows = np.array([row for office_id in below[each.path] for row in of_office.get(office_id, ())], dtype=int)
        if each.item_ids:
            rows = rows[np.isin(item_ids[rows], list(each.item_ids))]
        found[id(each)] = rows
    return found


def _offices_below(paths: set[str]) -> dict[str, list[int]]:
    """The offices in the subtree of each path, by one query for all of them."""
    found: dict[str, list[int]] = defaultdict(list)
    if not paths:
        return found
    top = aliased(Office)
    in_subtree = and_(Office.path >= top.path, Office.path < top.path + "~")
    query = select(top.path, Office.id).join(Office, in_subtree).where(top.path.in_(paths))
    for path, office_id in db.session.execute(query):
        found[path].append(office_id)
    return found


def _note_season(notes: list[dict[str, Any]], rows: Any, each: Occurrence) -> None:
    said = {
        "kind": each.season.kind,
        "name": each.name,
        "first": each.first.isoformat(),
        "last": each.last.isoformat(),
        "factor": each.season.factor,
    }
    for note in notes[rows] if isinstance(rows, slice) else (notes[row] for row in rows):
        note["seasons"].append(said)


# --- caps --------------------------------------------------------------------------------------------------------


def _caps(row_of: Rows, span: _Span, printed: np.ndarray, notes: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    history, shape = span.history, (len(notes), span.ahead)
    rationed = np.zeros(printed.shape, dtype=bool)
    lowest: dict[int, np.ndarray] = {}
    for cap in caps.counting(span.first, span.last):
        row = row_of.get((cap.office_id, cap.item_id))
        if row is None:
            continue
        days = lowest.setdefault(row, np.full(history + span.ahead, np.inf))
        columns = span.columns(cap.first_day, cap.last_day)
        days[columns] = np.minimum(days[columns], cap.most_a_day)
        if columns.stop > history:
            _note_cap(notes[row], cap)
    if not lowest:
        return rationed, np.broadcast_to(np.inf, shape)
    cap_ahead = np.full(shape, np.inf)
    for row, days in lowest.items():
        rationed[row] = printed[row] >= REACHED * days[:history]
        cap_ahead[row] = days[history:]
        notes[row]["days_rationed"] = int(rationed[row].sum())
    return rationed, cap_ahead


def _note_cap(note: dict[str, Any], cap: Any) -> None:
    """The lowest cap that is yet to count, and its days."""
    if note["cap"] is None or cap.most_a_day < note["cap"]:
        note["cap"] = cap.most_a_day
        note["cap_from"] = cap.first_day.isoformat()
        note["cap_until"] = cap.last_day.isoformat() if cap.last_day else None


# --- on top of usual demand --------------------------------------------------------------------------------------


def _outreach(row_of: Rows, span: _Span, notes: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """(S, H) prints planned ahead; (S, T) which days of the history had been planned."""
    # Pages of zeros that nobody writes to take no memory.
    extra = np.zeros((len(notes), span.ahead))
    announced = np.zeros((len(notes), span.history), dtype=bool)
    for plan in outreach.standing(span.first, span.last):
        row = row_of.get((plan.office_id, plan.item_id))
        if row is None:
            continue
        note = notes[row]
        if plan.day <= span.through:
            note["outreach_past_count"] += 1
            note["outreach_past_prints"] += plan.expected
            announced[row, (plan.day - span.first).days] = True
        elif plan.status == "planned":
            extra[row, (plan.day - span.through).days - 1] += plan.expected
            note["outreach_count"] += 1
            note["outreach_prints"] += plan.expected
            note["outreach_next"] = note["outreach_next"] or plan.day.isoformat()
    # Whoever goes out that often plans nothing out of the ordinary: those days are the usual demand.
    announced[announced.sum(axis=1) > MOST_ANNOUNCED * span.history] = False
    return extra, announced


def _clear(
    row_of: Rows,
    through: date,
    is_open_ahead: np.ndarray,
    backlog: Mapping[int, int],
    extra: np.ndarray,
    notes: list[dict[str, Any]],
) -> None:
    """Add the backlog to `extra`, open day by open day at its rate, until it is used up."""
    by_office: dict[int, dict[int, Any]] = defaultdict(dict)
    for said in clearing.all_rates():
        by_office[said.office_id][said.item_id] = said
    in_vain = [office_id for office_id in by_office if not backlog.get(office_id)]
    reported = coverage.backlog_of(in_vain, through) if in_vain else {}
    for office_id, rates in by_office.items():
        parts = parts_of_backlog(backlog.get(office_id, 0), {item_id: each.per_day for item_id, each in rates.items()})
        for item_id, said in rates.items():
            row = row_of.get((office_id, item_id))
            if row is None:
                continue
            cleared = np.minimum(np.cumsum(is_open_ahead[row]) * said.per_day, parts[item_id])
            extra[row] += np.diff(cleared, prepend=0)
            done = np.flatnonzero(cleared >= parts[item_id]) if parts[item_id] else np.array([], dtype=int)
            notes[row] |= {
                "backlog_part": parts[item_id],
                "clearing_rate": said.per_day,
                "clearing_source": said.source,
                "cleared_on": (through + timedelta(days=1 + int(done[0]))).isoformat() if done.size else None,
                "cleared_ahead": int(cleared[-1]) if cleared.size else 0,
                "backlog_outdated": _outdated(reported.get(office_id)),
            }


def _outdated(said: Backlog | None) -> dict[str, Any] | None:
    """A backlog that is to be cleared and does not count, because it was reported too long ago."""
    if said is None or not said.outdated or said.as_of is None:
        return None
    return {"backlog": said.outdated, "as_of": said.as_of.isoformat()}


def _factor(stocks: Sequence[Any], notes: list[dict[str, Any]]) -> np.ndarray:
    factor = np.ones(len(stocks))
    said_of = _digital_shares()
    if not said_of:
        return factor
    for row, stock in enumerate(stocks):
        said = said_of.get(stock.office_id)
        if said is not None:
            factor[row] = 1 - said.share
            notes[row] |= {
                "factor": round(1 - said.share, 4),
                "digital_share": said.share,
                "digital_source": said.source,
                "digital_office": said.office_name if said.office_id != stock.office_id else None,
            }
    return factor


def _digital_shares() -> dict[int, Any]:
    """What counts for each office: its own share, else that of the nearest office above."""
    stated = clearing.all_digital()
    below = _offices_below({said.path for said in stated})
    return {office_id: said for said in stated for office_id in below[said.path]}


# --- as it was known -----------------------------------------------------------------------------------------------


def as_it_was_known(stocks: Sequence[Any], first_day: date, through: date) -> Foreknowing:
    """For a backtest of `stocks` (rows with office_id and item_id) on the days from `first_day` to `through`: what
    was known at the close of any day among them of seasons and planned outreach.

    Seasons and events as `events.known_on` says. A plan counts from the day on which it was last said what it is, at
    its office, until it was called off: one that was changed afterwards is left out before, for its earlier words are
    not kept. Events that were removed and who belonged to which office then are those of now.
    """
    span = _Span(first_day, through, 0)
    occurrences = events.occurrences(first_day, through)
    plans = _plans(stocks, first_day, through)
    painted: dict[tuple[Occurrence, ...], tuple[np.ndarray, np.ndarray]] = {}

    def known(day: date, days: int) -> Foreknown:
        said = tuple(known_on(day, occurrences))
        if said not in painted:
            season, seasons = _painted(stocks, span, said, None)
            painted[said] = season, stated_factors(seasons)
        season, stated = painted[said]
        split = (day - first_day).days + 1
        labels = Seasons(past=season[:, :split], ahead=season[:, split : split + days], stated=stated)
        return Foreknown(labels, _planned_by(day, days, plans, len(stocks)))

    return known


def stated_factors(seasons: Sequence[Season]) -> np.ndarray:
    """(E,) as the projection wants them: NaN where nobody stated one."""
    return np.array([np.nan if each.factor is None else each.factor for each in seasons])


@dataclass(frozen=True)
class _Plan:
    """Prints of one stock planned for a day: believed from `said_on` until `called_off_on`, days of its office."""

    row: int
    day: date
    expected: int
    said_on: date
    called_off_on: date | None

    def believed(self, on: date) -> bool:
        return self.said_on <= on and (self.called_off_on is None or on < self.called_off_on)


def _plans(stocks: Sequence[Any], first: date, last: date) -> list[_Plan]:
    row_of = {(stock.office_id, stock.item_id): row for row, stock in enumerate(stocks)}
    found: list[_Plan] = []
    for plan in outreach.ever_planned(first, last):
        row = row_of.get((plan.office_id, plan.item_id))
        if row is None:
            continue
        off = local_day(plan.called_off_at, plan.time_zone) if plan.called_off_at else None
        found.append(_Plan(row, plan.day, plan.expected, local_day(plan.said_at, plan.time_zone), off))
    return found


def _planned_by(on: date, days: int, plans: Sequence[_Plan], rows: int) -> np.ndarray | None:
    """(S, days) prints planned for the days after one, as was believed at its close; None for none."""
    counting = [each for each in plans if on < each.day <= on + timedelta(days=days) and each.believed(on)]
    if not counting:
        return None
    extra = np.zeros((rows, days))
    for each in counting:
        extra[each.row, (each.day - on).days - 1] += each.expected
    return extra
