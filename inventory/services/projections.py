"""Projected demand of the stocks in an actor's reach: daily totals in, figures that explain themselves out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from inventory.domain.access import Actor
from inventory.domain.alerts import Reading
from inventory.domain.arrivals import Due
from inventory.domain.demand import Ahead, History, Horizon, Position, Projection, project, project_by_part
from inventory.domain.demand.arrays import rows_of
from inventory.domain.demand.reasons import shares
from inventory.domain.ledger import PRINT_REASONS
from inventory.domain.offices import local_day
from inventory.services import backtests, projection_inputs, run_outs
from inventory.services.backtests import StockError
from inventory.services.projection_inputs import Inputs
from inventory.services.run_outs import Projected

OPEN_DAYS_A_YEAR = 245
"""Of a usual office, for telling how often something happens."""
FAN_DAYS = 60
FAN_POINTS = 30
LEAD_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
PLACES = {
    "level": 1,
    "level_dispersion": 6,
    "daily_dispersion": 6,
    "mean_lead": 0,
    "mean_horizon": 0,
    "quantiles": 0,
    "weekday_weights": 3,
    "backtest_error": 3,
    "cover_days": 1,
    "burst_rate": 6,
    "burst_jump": 3,
    "burst_seen": 3,
    "burst_variation": 6,
}
"""Of a projection's figures: to how many they are rounded for people."""


@dataclass(frozen=True, kw_only=True)
class StockProjection:
    """The projection of one office's stock of one item at the close of `on_day`.

    `facts` holds plain values that can be stored as JSON: days as ISO text, None where nothing is known.
    """

    office_id: int
    office_code: str
    office_name: str
    item_id: int
    item_code: str
    on_day: date
    reading: Reading
    facts: dict[str, Any]
    closings: np.ndarray = field(compare=False, repr=False)
    """What was in the store at the close of each of the last days, `on_day` being the last."""


def of_stocks(
    actor: Actor, now: datetime, *, on: date | None = None, office_path: str | None = None
) -> list[StockProjection]:
    """Project every stock in the actor's reach (below `office_path`, if given), by office code and item.

    Without `on`, the stock is that of now, and demand is looked for from the office's own today on, or from tomorrow
    once prints of today are recorded: they have left the store. With it, stock and history are those at the close of
    that day, while what is planned and reported is that of now. An office that never held an
    item has no stock of it to project. A stock whose own backtest shows the plain average to be better is projected
    from the average, and says so.
    """
    found = [each for part in by_part(actor, now, on=on, office_path=office_path) for each in part]
    return sorted(found, key=lambda each: (each.office_code, each.item_id))


def by_part(
    actor: Actor, now: datetime, *, on: date | None = None, office_path: str | None = None
) -> Iterator[list[StockProjection]]:
    """The same in parts, each with all stocks of its offices, as soon as it is made: something can be done with them
    while the others are made. Nothing is asked of the database after the first part."""
    rows = projection_inputs.stocks_in_reach(actor, office_path)
    by_day: dict[tuple[date, bool], list[Any]] = defaultdict(list)
    for row, day in zip(rows, [on] * len(rows) if on else projection_inputs.last_days(rows, now), strict=True):
        by_day[day, on is None and day == local_day(now, row.time_zone)].append(row)
    found: list[tuple[Inputs, Mapping[tuple[int, int], StockError]]] = []
    for (through, running), stocks in by_day.items():
        stocks.sort(key=lambda row: (row.office_code, row.item_id))
        inputs = projection_inputs.gather(stocks, through, past=on is not None, running=running)
        if inputs is not None:
            found.append((inputs, _errors(inputs)))
    for inputs, errors in found:
        yield from _project(inputs, errors)


def projected(inputs: Inputs) -> tuple[Projection, Mapping[tuple[int, int], StockError]]:
    """The projection of these stocks, by the better method of each, and how far off it was in its backtest."""
    errors = _errors(inputs)
    return project(*_arrays(inputs), seasons=inputs.seasons, average=_worse(inputs, errors)), errors


def _errors(inputs: Inputs) -> Mapping[tuple[int, int], StockError]:
    return backtests.errors_of(_pairs(inputs))


def _pairs(inputs: Inputs) -> list[tuple[int, int]]:
    return [(stock.office_id, stock.item_id) for stock in inputs.stocks]


def _arrays(inputs: Inputs) -> tuple[History, Ahead, Horizon, Position]:
    return inputs.history, inputs.ahead, inputs.horizon, inputs.position


def _worse(inputs: Inputs, errors: Mapping[tuple[int, int], StockError]) -> np.ndarray:
    """(S,) whether the plain average has been better than the model."""
    return np.array([pair in errors and errors[pair].worse for pair in _pairs(inputs)], dtype=bool)


def _project(inputs: Inputs, errors: Mapping[tuple[int, int], StockError]) -> Iterator[list[StockProjection]]:
    """In parts of whole offices: which of an office's stocks runs out first is said of each."""
    mix = shares(np.maximum(inputs.reasons, 0), inputs.history.pools)
    seasons_ahead = _numbers_ahead(inputs.seasons.ahead)
    parts = project_by_part(*_arrays(inputs), seasons=inputs.seasons, average=_worse(inputs, errors))
    made: list[StockProjection] = []
    told = 0
    for part in parts:
        rows = slice(len(made), len(made) + len(part.level))
        plain = _in_plain_values(part, mix[rows], seasons_ahead[rows], inputs.through)
        columns = _position_columns(inputs, rows) | _demand_columns(plain) | _stock_columns(plain, inputs.through)
        columns["stockout_in_lead"] = _rounded(stockout_in_lead(rows_of(inputs.horizon, rows), part), 4)
        for place, values in enumerate(zip(*columns.values(), strict=True)):
            i = rows.start + place
            facts = dict(zip(columns, values, strict=True)) | _explaining(inputs, plain, i, place)
            made.append(_stock_projection(inputs, i, facts, errors))
        end = len(made) if rows.stop == len(inputs.stocks) else _whole_offices(made)
        run_outs.note_first(_run_outs(inputs, made, slice(told, end)))
        yield made[told:end]
        told = end


def _whole_offices(found: Sequence[StockProjection]) -> int:
    """How many of these, in the order of their offices, belong to offices of which more cannot follow."""
    count = len(found)
    while count and found[count - 1].office_id == found[-1].office_id:
        count -= 1
    return count


def _stock_projection(
    inputs: Inputs, i: int, facts: dict[str, Any], errors: Mapping[tuple[int, int], StockError]
) -> StockProjection:
    stock = inputs.stocks[i]
    error = errors.get((stock.office_id, stock.item_id))
    if error is not None and error.error is not None:
        facts["backtest"] = _backtest_facts(error)
    return StockProjection(
        office_id=stock.office_id,
        office_code=stock.office_code,
        office_name=stock.office_name,
        item_id=stock.item_id,
        item_code=stock.item_code,
        on_day=inputs.through,
        reading=reading_of(facts),
        facts=facts,
        closings=inputs.closings[i],
    )


def _in_plain_values(part: Projection, mix: np.ndarray, seasons_ahead: list[list[int]], through: date) -> Any:
    """The same with lists instead of arrays: what is taken out one stock at a time is a fraction as slow. Of what goes
    by the day ahead, only the days of the fan, rounded for people; the figures of PLACES as `…_said`, rounded too."""
    columns = _columns_of_fan(part)
    found: dict[str, Any] = {}
    for each in fields(part):
        value = getattr(part, each.name)
        if each.name in PLACES:
            found[f"{each.name}_said"] = _rounded(value, PLACES[each.name])
        if each.name.startswith("cumulative_"):
            value = np.round(value[:, columns], 1)
        elif each.name == "open_days_ahead":
            value = value[:, columns]
        elif each.name in ("stockout_probability", "stockout_despite_due"):
            continue
        found[each.name] = value.tolist() if isinstance(value, np.ndarray) else value
    found["known"] = (~np.isnan(part.level)).tolist()
    found["is_planned"] = part.cumulative_planned[:, columns].any(axis=1).tolist()
    found["probabilities_said"] = [str(each) for each in part.probabilities]
    found["days_said"] = [(through + timedelta(days=1 + int(column))).isoformat() for column in columns]
    found["reasons_said"] = _rounded(mix * part.level[:, None], 1)
    return SimpleNamespace(**found, seasons_ahead=seasons_ahead)


def _rounded(values: np.ndarray, places: int) -> list[Any]:
    """(S,) or (S,N) figures as JSON can hold them, rounded for people: whole ones at 0 places, None for one that is not
    known."""
    is_finite = np.isfinite(values)
    if not is_finite.all():
        rounded = np.array(np.round(values, places), dtype=object)
        rounded[~is_finite] = None
        if not places:
            rounded[is_finite] = [int(each) for each in rounded[is_finite]]
        return rounded.tolist()
    return (np.round(values, places) if places else np.rint(values).astype(np.int64)).tolist()


def _columns_of_fan(projection: Projection) -> np.ndarray:
    days = projection.open_days_ahead.shape[1]
    return np.unique(np.linspace(0, min(days, FAN_DAYS) - 1, FAN_POINTS).astype(int))


def _run_outs(inputs: Inputs, made: Sequence[StockProjection], rows: slice) -> list[Projected]:
    def nth_open_day(row: int, number: int) -> date | None:
        columns = np.flatnonzero(inputs.ahead.open[row])
        return inputs.through + timedelta(days=1 + int(columns[number - 1])) if number <= columns.size else None

    return [
        Projected(
            office_id=stock.office_id,
            item_code=stock.item_code,
            prints_per_unit=stock.prints_per_unit,
            facts=result.facts,
            nth_open_day=partial(nth_open_day, row),
        )
        for row, stock, result in zip(range(rows.start, rows.stop), inputs.stocks[rows], made[rows], strict=True)
    ]


def stockout_in_lead(horizon: Horizon, projection: Projection) -> np.ndarray:
    """(S,) chance that the stock runs out by the end of the lead time's last open day although what is due comes when
    it is expected; over all lead times where they are learnt."""
    chance, days = projection.stockout_despite_due, projection.open_days_ahead

    def by_day(number: np.ndarray) -> np.ndarray:
        last = np.maximum((days <= number[:, None]).sum(axis=1) - 1, 0)
        return chance[np.arange(last.size), last]

    found = by_day(horizon.lead_days)
    if horizon.lead_weights is None:
        return found
    learnt = horizon.lead_weights.sum(axis=1) > 0
    over_all = np.zeros_like(found)
    for number in np.flatnonzero(horizon.lead_weights.any(axis=0)):
        over_all += horizon.lead_weights[:, number] * by_day(np.full(found.size, number))
    return np.where(learnt, over_all, found)


def reading_of(facts: Mapping[str, Any]) -> Reading:
    """What the level of a stock follows from, of its facts."""
    known = facts["reorder_point"] is not None
    return Reading(
        store=facts["store"],
        usable=facts["usable"],
        inbound=facts["inbound"],
        known=known,
        reorder_point=facts["reorder_point"] if known else 0.0,
        order_up_to=facts["order_up_to"] if known else 0.0,
        stockout_in_lead=facts["stockout_in_lead"] if known else 0.0,
    )


def _position_columns(inputs: Inputs, rows: slice) -> dict[str, list[Any]]:
    """Of these stocks, each fact's values in their order."""
    stocks, position, inbound = inputs.stocks[rows], inputs.position, inputs.inbound
    return {
        "on_day": [inputs.through.isoformat()] * len(stocks),
        "store": position.store[rows].tolist(),
        "inbound": position.inbound[rows].tolist(),
        "in_transit": inbound.in_transit[rows].tolist(),
        "on_order": inbound.on_order[rows].tolist(),
        "with_teams": inbound.with_teams[rows].tolist(),
        "due": [due_facts(each) for each in inbound.due[rows]],
        "backlog": position.backlog[rows].tolist(),
        "usable": (position.store - position.backlog)[rows].tolist(),
        "synthetic": [bool(stock.synthetic) for stock in stocks],
        "stated_rate": [stock.stated_rate for stock in stocks],
        "stated_source": [stock.stated_source for stock in stocks],
        "lead_days": [stock.lead_time_days for stock in stocks],
        "review_days": [stock.review_period_days for stock in stocks],
        "service_level": [stock.service_level for stock in stocks],
        "working_days": [stock.working_days for stock in stocks],
    }


def due_facts(due: Iterable[Due]) -> list[list[Any]]:
    """What is counted on, as facts: the day from whose opening it is there, None for now; and how many."""
    return [[each.on_day.isoformat() if each.on_day else None, each.quantity] for each in due]


def _demand_columns(plain: Any) -> dict[str, list[Any]]:
    names = plain.probabilities_said
    return {
        "known": plain.known,
        "enough": plain.enough,
        "from_stated_rate": plain.from_stated_rate,
        "from_average": plain.from_average,
        "level_per_day": plain.level_said,
        "level_dispersion": plain.level_dispersion_said,
        "daily_dispersion": plain.daily_dispersion_said,
        "mean_lead": plain.mean_lead_said,
        "mean_horizon": plain.mean_horizon_said,
        "quantiles": [dict(zip(names, each, strict=True)) for each in plain.quantiles_said],
        "days_used": plain.days_used,
        "days_stocked_out": plain.days_stocked_out,
        "days_rationed": plain.days_rationed,
        "days_announced": plain.days_announced,
        "days_closed": plain.days_closed,
        "days_unknown": plain.days_unknown,
        "weekday_weights": plain.weekday_weights_said,
        "backtest_error": plain.backtest_error_said,
    }


def _stock_columns(plain: Any, through: date) -> dict[str, list[Any]]:
    ahead: dict[int, str | None] = {}

    def where_known(values: list[int]) -> list[int | None]:
        return [value if known else None for value, known in zip(values, plain.known, strict=True)]

    def days(columns: list[int]) -> list[str | None]:
        for column in {*columns} - {*ahead}:
            ahead[column] = (through + timedelta(days=1 + column)).isoformat() if column >= 0 else None
        return [ahead[column] for column in columns]

    return {
        "reorder_point": where_known(plain.reorder_point),
        "order_up_to": where_known(plain.order_up_to),
        "suggested_order": where_known(plain.suggested_order),
        "cover_days": plain.cover_days_said,
        "cover_capped": plain.cover_capped,
        "stockout_on": days(plain.stockout_day),
        "stockout_early_on": days(plain.stockout_early),
        "stockout_late_on": days(plain.stockout_late),
    }


def _explaining(inputs: Inputs, plain: Any, i: int, place: int) -> dict[str, Any]:
    """What the projection of stock i, at that place of its part, rests on beside its level; a fact that does not apply
    is left out."""
    if not plain.known[place]:
        return {}
    stock, borrowed = inputs.stocks[i], plain.borrowed[place]
    facts: dict[str, Any] = {"ahead": _ahead_facts(plain, place)}
    if stock.prints_per_unit is None and (plain.enough[place] or borrowed):
        facts["reasons"] = dict(zip(PRINT_REASONS, plain.reasons_said[place], strict=True))
    if borrowed:
        facts["pooled"] = {"share": round(borrowed, 3)}
    a_year = plain.burst_rate[place] * OPEN_DAYS_A_YEAR
    if plain.lumpy[place]:
        facts["batches"] = {"a_year": round(a_year), "size": round(plain.burst_jump[place])}
    elif round(a_year):
        facts |= {"bursts_a_year": round(a_year), "burst_size": round(plain.burst_jump[place])}
    learnt = inputs.lead_times.learnt.get(stock.office_id)
    if learnt is not None:
        facts["lead_learnt"] = learnt.facts
        facts["lead_spread"] = _lead_spread(inputs, i)
    return facts | _planned(inputs, plain, i, place)


def _lead_spread(inputs: Inputs, i: int) -> list[int]:
    """Lead times in working days, each as likely as the others, that stand for all that are possible."""
    weights = inputs.horizon.lead_weights
    if weights is None or not weights[i].any():
        return [int(inputs.horizon.lead_days[i])]
    return [int(day) for day in np.searchsorted(np.cumsum(weights[i]), LEAD_QUANTILES)]


def _planned(inputs: Inputs, plain: Any, i: int, place: int) -> dict[str, Any]:
    """What the office knows of the demand to come."""
    note = inputs.known.notes[i]
    facts: dict[str, Any] = {}
    if note["seasons"]:
        facts["seasons"] = _seasons(inputs, plain, i, place)
    if note["outreach_count"]:
        facts["outreach"] = {"days": note["outreach_count"], "prints": note["outreach_prints"]}
    if note["clearing_rate"] and note["backlog_part"]:
        facts["clearing"] = {
            "backlog": note["backlog_part"],
            "rate": note["clearing_rate"],
            "until": note["cleared_on"],
        }
    if note["backlog_outdated"]:
        facts["clearing_outdated"] = note["backlog_outdated"]
    if note["digital_share"]:
        facts |= {"digital_factor": note["factor"], "digital_source": note["digital_source"]}
        facts["digital_office"] = note["digital_office"]
    if note["cap"] is not None:
        facts["cap"] = {"most": note["cap"], "since": note["cap_from"], "until": note["cap_until"]}
    return facts


def _numbers_ahead(ahead: np.ndarray) -> list[list[int]]:
    """Of each stock the seasons that lie ahead (S,H), in the order in which they come."""
    # What is said of everybody's days is one row, seen from everywhere.
    rows = (ahead if ahead.strides[0] else ahead[:1]).tolist()
    found = [[number for number in dict.fromkeys(row) if number > 0] for row in rows]
    return found if len(found) == len(ahead) else found * len(ahead)


def _seasons(inputs: Inputs, plain: Any, i: int, place: int) -> list[dict[str, Any]]:
    """The seasons and events that lie ahead, with what each makes of a day's demand."""
    names = {said["kind"]: said["name"] for said in inputs.known.notes[i]["seasons"]}
    factors = plain.season_factors[place]
    found = []
    for number in plain.seasons_ahead[place]:
        season = inputs.known.seasons[number - 1]
        found.append(
            {
                "kind": season.kind,
                "name": names.get(season.kind, ""),
                "factor": round(factors[number], 3),
                "learnt": season.factor is None,
            }
        )
    return found


def _ahead_facts(plain: Any, place: int) -> dict[str, Any]:
    """What the fan ahead is drawn from, at some of the days; see `demand.FanParts`. Most offices have nothing planned,
    and then nothing is said of it."""
    facts: dict[str, Any] = {"days": plain.days_said, "cumulative_mean": plain.cumulative_mean[place]}
    if plain.is_planned[place]:
        facts["cumulative_planned"] = plain.cumulative_planned[place]
        facts["cumulative_planned_variance"] = plain.cumulative_planned_variance[place]
    return facts | {
        "open_days_ahead": plain.open_days_ahead[place],
        "horizon_days": plain.horizon_days[place],
        "burst_rate": plain.burst_rate_said[place],
        "burst_jump": plain.burst_jump_said[place],
        "burst_seen": plain.burst_seen_said[place],
        "burst_variation": plain.burst_variation_said[place],
    }


def _backtest_facts(error: StockError) -> dict[str, Any]:
    return {
        "error": _number(error.error or 0.0, 3),
        "average_error": None if error.average_error is None else _number(error.average_error, 3),
        "windows": error.windows,
    }


def _number(value: float, places: int) -> float | int | None:
    """A figure as JSON can hold it, rounded for people; None for one that is not known."""
    if not math.isfinite(value):
        return None
    return round(float(value)) if places == 0 else round(float(value), places)
