"""Projected demand of the stocks in an actor's reach: daily totals in, figures that explain themselves out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from inventory.domain.access import Actor
from inventory.domain.alerts import Reading
from inventory.domain.arrivals import Due
from inventory.domain.demand import Horizon, Projection, project
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
    rows = projection_inputs.stocks_in_reach(actor, office_path)
    by_day: dict[tuple[date, bool], list[Any]] = defaultdict(list)
    for row, day in zip(rows, [on] * len(rows) if on else projection_inputs.last_days(rows, now), strict=True):
        by_day[day, on is None and day == local_day(now, row.time_zone)].append(row)
    found: list[StockProjection] = []
    for (through, running), stocks in by_day.items():
        inputs = projection_inputs.gather(stocks, through, past=on is not None, running=running)
        if inputs is not None:
            found.extend(_project(inputs))
    return sorted(found, key=lambda each: (each.office_code, each.item_id))


def projected(inputs: Inputs) -> tuple[Projection, Mapping[tuple[int, int], StockError]]:
    """The projection of these stocks, by the better method of each, and how far off it was in its backtest."""
    pairs = [(stock.office_id, stock.item_id) for stock in inputs.stocks]
    errors = backtests.errors_of(pairs)
    average = np.array([pair in errors and errors[pair].worse for pair in pairs], dtype=bool)
    made = project(
        inputs.history, inputs.ahead, inputs.horizon, inputs.position, seasons=inputs.seasons, average=average
    )
    return made, errors


def _project(inputs: Inputs) -> list[StockProjection]:
    made, errors = projected(inputs)
    stocks, through = inputs.stocks, inputs.through
    mix = shares(np.maximum(inputs.reasons, 0), inputs.history.pools)
    in_lead = stockout_in_lead(inputs.horizon, made)
    projection, days = _in_plain_values(made), _days_of_fan(made, through)
    projection.seasons_ahead = _numbers_ahead(inputs.seasons.ahead)
    results = []
    for i, stock in enumerate(stocks):
        facts = _position_facts(inputs, i) | _demand_facts(inputs, projection, i) | _stock_facts(inputs, projection, i)
        facts["stockout_in_lead"] = _number(in_lead[i], 4)
        facts |= _explaining(inputs, projection, mix[i], days, i)
        error = errors.get((stock.office_id, stock.item_id))
        if error is not None and error.error is not None:
            facts["backtest"] = _backtest_facts(error)
        results.append(
            StockProjection(
                office_id=stock.office_id,
                office_code=stock.office_code,
                office_name=stock.office_name,
                item_id=stock.item_id,
                item_code=stock.item_code,
                on_day=through,
                reading=reading_of(facts),
                facts=facts,
                closings=inputs.closings[i],
            )
        )
    run_outs.note_first(_run_outs(stocks, results, inputs.ahead.open, through))
    return results


def _in_plain_values(projection: Projection) -> Any:
    """The same with lists instead of arrays: what is taken out one stock at a time is a fraction as slow. Of what goes
    by the day ahead, only the days of the fan, rounded for people; the figures of PLACES as `…_said`, rounded too."""
    columns = _columns_of_fan(projection)
    found: dict[str, Any] = {}
    for each in fields(projection):
        value = getattr(projection, each.name)
        if each.name in PLACES:
            found[f"{each.name}_said"] = _rounded(value, PLACES[each.name])
        if each.name.startswith("cumulative_"):
            value = np.round(value[:, columns], 1)
        elif each.name == "open_days_ahead":
            value = value[:, columns]
        elif each.name in ("stockout_probability", "stockout_despite_due"):
            continue
        found[each.name] = value.tolist() if isinstance(value, np.ndarray) else value
    found["probabilities_said"] = [str(each) for each in projection.probabilities]
    return SimpleNamespace(**found)


def _rounded(values: np.ndarray, places: int) -> list[Any]:
    """(S,) or (S,N) figures as JSON can hold them, as `_number` does one by one."""
    if values.ndim > 1:
        flat, width = _rounded(values.reshape(-1), places), values.shape[1]
        return [flat[start : start + width] for start in range(0, len(flat), width)]
    if np.isfinite(values).all():
        if not places:
            return np.rint(values).astype(np.int64).tolist()
        # As Python rounds, which is right to the last digit; numpy's own is not.
        return [round(value, places) for value in values.tolist()]
    return [_number(value, places) for value in values.tolist()]


def _columns_of_fan(projection: Projection) -> np.ndarray:
    days = projection.open_days_ahead.shape[1]
    return np.unique(np.linspace(0, min(days, FAN_DAYS) - 1, FAN_POINTS).astype(int))


def _days_of_fan(projection: Projection, through: date) -> list[str]:
    return [(through + timedelta(days=1 + int(column))).isoformat() for column in _columns_of_fan(projection)]


def _run_outs(
    stocks: Sequence[Any], results: Sequence[StockProjection], is_open_ahead: np.ndarray, through: date
) -> list[Projected]:
    def nth_open_day(row: int, number: int) -> date | None:
        columns = np.flatnonzero(is_open_ahead[row])
        return through + timedelta(days=1 + int(columns[number - 1])) if number <= columns.size else None

    return [
        Projected(
            office_id=stock.office_id,
            item_code=stock.item_code,
            prints_per_unit=stock.prints_per_unit,
            facts=result.facts,
            nth_open_day=partial(nth_open_day, row),
        )
        for row, (stock, result) in enumerate(zip(stocks, results, strict=True))
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


def _position_facts(inputs: Inputs, i: int) -> dict[str, Any]:
    stock, position, inbound = inputs.stocks[i], inputs.position, inputs.inbound
    store, backlog = int(position.store[i]), int(position.backlog[i])
    return {
        "on_day": inputs.through.isoformat(),
        "store": store,
        "inbound": int(position.inbound[i]),
        "in_transit": int(inbound.in_transit[i]),
        "on_order": int(inbound.on_order[i]),
        "with_teams": int(inbound.with_teams[i]),
        "due": due_facts(inbound.due[i]),
        "backlog": backlog,
        "usable": store - backlog,
        "synthetic": bool(stock.synthetic),
        "stated_rate": stock.stated_rate,
        "stated_source": stock.stated_source,
        "lead_days": stock.lead_time_days,
        "review_days": stock.review_period_days,
        "service_level": stock.service_level,
        "working_days": stock.working_days,
    }


def due_facts(due: Iterable[Due]) -> list[list[Any]]:
    """What is counted on, as facts: the day from whose opening it is there, None for now; and how many."""
    return [[each.on_day.isoformat() if each.on_day else None, each.quantity] for each in due]


def _demand_facts(inputs: Inputs, projection: Any, i: int) -> dict[str, Any]:
    return {
        "known": not math.isnan(projection.level[i]),
        "enough": bool(projection.enough[i]),
        "from_stated_rate": bool(projection.from_stated_rate[i]),
        "from_average": bool(projection.from_average[i]),
        "level_per_day": projection.level_said[i],
        "level_dispersion": projection.level_dispersion_said[i],
        "daily_dispersion": projection.daily_dispersion_said[i],
        "mean_lead": projection.mean_lead_said[i],
        "mean_horizon": projection.mean_horizon_said[i],
        "quantiles": dict(zip(projection.probabilities_said, projection.quantiles_said[i], strict=True)),
        "days_used": int(projection.days_used[i]),
        "days_stocked_out": int(projection.days_stocked_out[i]),
        "days_rationed": int(projection.days_rationed[i]),
        "days_announced": int(projection.days_announced[i]),
        "days_closed": int(projection.days_closed[i]),
        "days_unknown": int(projection.days_unknown[i]),
        "weekday_weights": projection.weekday_weights_said[i],
        "backtest_error": projection.backtest_error_said[i],
    }


def _stock_facts(inputs: Inputs, projection: Any, i: int) -> dict[str, Any]:
    known = not math.isnan(projection.level[i])

    def day_ahead(column: int) -> str | None:
        return (inputs.through + timedelta(days=1 + int(column))).isoformat() if known and column >= 0 else None

    return {
        "reorder_point": int(projection.reorder_point[i]) if known else None,
        "order_up_to": int(projection.order_up_to[i]) if known else None,
        "suggested_order": int(projection.suggested_order[i]) if known else None,
        "cover_days": projection.cover_days_said[i],
        "cover_capped": bool(projection.cover_capped[i]),
        "stockout_on": day_ahead(projection.stockout_day[i]),
        "stockout_early_on": day_ahead(projection.stockout_early[i]),
        "stockout_late_on": day_ahead(projection.stockout_late[i]),
    }


def _explaining(inputs: Inputs, projection: Any, mix: np.ndarray, days: list[str], i: int) -> dict[str, Any]:
    """What a projection rests on beside its level; a fact that does not apply is left out."""
    level = float(projection.level[i])
    if math.isnan(level):
        return {}
    facts: dict[str, Any] = {"ahead": _ahead_facts(projection, days, i)}
    is_blank = inputs.stocks[i].prints_per_unit is None
    if is_blank and (projection.enough[i] or projection.borrowed[i]):
        parts = zip(PRINT_REASONS, mix, strict=True)
        facts["reasons"] = {reason: round(float(share) * level, 1) for reason, share in parts}
    if projection.borrowed[i]:
        facts["pooled"] = {"share": round(float(projection.borrowed[i]), 3)}
    a_year = float(projection.burst_rate[i]) * OPEN_DAYS_A_YEAR
    if projection.lumpy[i]:
        facts["batches"] = {"a_year": round(a_year), "size": round(float(projection.burst_jump[i]))}
    elif round(a_year):
        facts |= {"bursts_a_year": round(a_year), "burst_size": round(float(projection.burst_jump[i]))}
    learnt = inputs.lead_times.learnt.get(inputs.stocks[i].office_id)
    if learnt is not None:
        facts["lead_learnt"] = learnt.facts
        facts["lead_spread"] = _lead_spread(inputs, i)
    return facts | _planned(inputs, projection, i)


def _lead_spread(inputs: Inputs, i: int) -> list[int]:
    """Lead times in working days, each as likely as the others, that stand for all that are possible."""
    weights = inputs.horizon.lead_weights
    if weights is None or not weights[i].any():
        return [int(inputs.horizon.lead_days[i])]
    return [int(day) for day in np.searchsorted(np.cumsum(weights[i]), LEAD_QUANTILES)]


def _planned(inputs: Inputs, projection: Any, i: int) -> dict[str, Any]:
    """What the office knows of the demand to come."""
    note = inputs.known.notes[i]
    facts: dict[str, Any] = {}
    if note["seasons"]:
        facts["seasons"] = _seasons(inputs, projection, i)
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


def _seasons(inputs: Inputs, projection: Any, i: int) -> list[dict[str, Any]]:
    """The seasons and events that lie ahead, with what each makes of a day's demand."""
    names = {said["kind"]: said["name"] for said in inputs.known.notes[i]["seasons"]}
    found = []
    for number in projection.seasons_ahead[i]:
        season = inputs.known.seasons[number - 1]
        found.append(
            {
                "kind": season.kind,
                "name": names.get(season.kind, ""),
                "factor": round(projection.season_factors[i][number], 3),
                "learnt": season.factor is None,
            }
        )
    return found


def _ahead_facts(projection: Any, days: list[str], i: int) -> dict[str, Any]:
    """What the fan ahead is drawn from, at some of the days; see `demand.FanParts`."""
    return {
        "days": days,
        "cumulative_mean": projection.cumulative_mean[i],
        "cumulative_planned": projection.cumulative_planned[i],
        "cumulative_planned_variance": projection.cumulative_planned_variance[i],
        "open_days_ahead": projection.open_days_ahead[i],
        "horizon_days": projection.horizon_days[i],
        "burst_rate": projection.burst_rate_said[i],
        "burst_jump": projection.burst_jump_said[i],
        "burst_seen": projection.burst_seen_said[i],
        "burst_variation": projection.burst_variation_said[i],
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
