"""What if: changes to a stock whose demand is known, and to one whose demand is a projection."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.domain.demand import Ahead, History, Horizon, Position, fan, project
from inventory.domain.errors import Invalid
from inventory.domain.what_if import PROBABILITIES, Arrival, Changes, Outcome, Stock, check_changes, try_out

DAYS = 60
WEEK = np.arange(DAYS) % 7 < 5
"""From a Monday on."""
NOTHING = Changes()


def steady(per_day: int = 100, **changes: Any) -> Stock:
    """A stock of 1,000 whose requests come at exactly that number an open day."""
    path = np.cumsum(WEEK * float(per_day))
    usual = {
        "paths": np.tile(path, (len(PROBABILITIES), 1)),
        "wanted": path,
        "open": WEEK,
        "store": 1_000,
        "backlog": 0,
        "inbound": 0,
        "lead_days": 14,
        "review_days": 5,
        "pack_size": 500,
    }
    return Stock(**(usual | changes))


@cache
def projected(store: int = 4_000, mean: int = 300) -> tuple[Stock, Any]:
    noise = np.random.default_rng(7)
    opened = np.arange(400) % 7 < 5
    demand = (noise.poisson(noise.gamma(4, mean / 4, 400)) * opened)[None, :]
    history = History(
        first_day=date(2024, 1, 1),
        demand=demand,
        served_waiting=np.zeros_like(demand),
        open=opened[None, :],
        known=np.ones_like(demand, dtype=bool),
        stocked_out=np.zeros_like(demand, dtype=bool),
    )
    one = np.ones(1, dtype=np.int64)
    ahead = (np.arange(400, 520) % 7 < 5)[None, :]
    position = Position(
        store=store * one, inbound=700 * one, backlog=50 * one, pack_size=500 * one, service_level=np.array([0.975])
    )
    found = project(history, Ahead(open=ahead), Horizon(lead_days=14 * one, review_days=5 * one), position)
    paths = fan(found, 0, (*PROBABILITIES, 0.975))
    stock = Stock(
        paths=paths[:-1],
        wanted=paths[-1],
        open=ahead[0],
        store=store,
        backlog=50,
        inbound=700,
        lead_days=14,
        review_days=5,
        pack_size=500,
    )
    return stock, found


@pytest.mark.parametrize("store", [0, 2_500, 4_000, 6_000, 60_000])
def test_without_changes_it_says_what_the_projection_says(store: int) -> None:
    stock, found = projected(store)
    outcome = try_out(stock, NOTHING)
    days = [None if day < 0 else int(day) for day in (found.stockout_day[0], found.stockout_early[0])]
    assert [outcome.empty, outcome.empty_early] == days
    assert outcome.suggested == found.suggested_order[0]
    assert outcome.ordered == outcome.suggested
    assert outcome.needed == pytest.approx(found.mean_horizon[0], rel=0.03)
    lead = int(np.flatnonzero(stock.open)[13])
    if outcome.next_arrival is not None:
        assert outcome.next_arrival == lead
        assert outcome.chance_before == pytest.approx(found.stockout_probability[0, lead], abs=0.011)


def test_a_steady_stock_runs_out_on_the_day_on_which_it_must() -> None:
    outcome = try_out(steady(), NOTHING)
    # Ten open days use it up; the eleventh, a Monday, finds nothing.
    assert (outcome.empty, outcome.empty_early, outcome.empty_late) == (14, 14, 14)
    assert outcome.next_arrival == 17, "the fourteenth open day"
    assert outcome.chance_before == 0.99
    assert (outcome.suggested, outcome.needed, outcome.waiting) == (1_000, 1_900, 0)


def test_outreach_brings_the_day_forward_and_asks_for_more() -> None:
    outcome = try_out(steady(), Changes(outreach=450, outreach_column=5))
    assert outcome.empty == 7
    assert outcome.needed == 2_350
    assert outcome.suggested == 1_500
    assert try_out(steady(), Changes(outreach=450, outreach_column=50)).empty == 14


def test_a_delivery_that_is_under_way_comes_late_or_not_at_all() -> None:
    stock = steady(inbound=500, arrivals=(Arrival(column=8, quantity=500),))
    as_expected = try_out(stock, NOTHING)
    assert (as_expected.next_arrival, as_expected.chance_before, as_expected.empty) == (8, 0.0, 14)
    assert as_expected.suggested == 500
    # 1,500 last for fifteen open days, and the order comes at the end of the fourteenth.
    assert as_expected.empty_despite == 28
    late = try_out(stock, Changes(late_days=5))
    assert (late.next_arrival, late.chance_before) == (15, 0.99)
    assert late.suggested == 1_000, "the order has to last for five days more"
    assert late.empty_despite == 14
    never = try_out(stock, Changes(nothing_comes=True))
    assert (never.next_arrival, never.suggested, never.empty_despite) == (17, 1_000, 14)


def test_under_a_cap_requests_wait_and_the_stock_lasts() -> None:
    outcome = try_out(steady(), Changes(cap=60))
    assert outcome.empty == 22, "the seventeenth open day"
    assert outcome.needed == 19 * 60
    assert outcome.waiting == 19 * 40
    assert outcome.suggested == 500
    # What one day leaves waiting, the next prints: a cap above the mean delays no more than a busy day.
    uneven = np.cumsum(WEEK * np.where(np.arange(DAYS) % 2, 150.0, 50.0))
    stock = steady(paths=np.tile(uneven, (len(PROBABILITIES), 1)), wanted=uneven)
    busy = try_out(stock, Changes(cap=110))
    assert busy.waiting <= 100
    assert busy.needed + busy.waiting == try_out(stock, NOTHING).needed


def test_a_cap_of_nothing_stops_the_printing() -> None:
    outcome = try_out(steady(), Changes(cap=0))
    assert (outcome.empty, outcome.needed, outcome.suggested, outcome.waiting) == (None, 0, 0, 1_900)


def test_another_order_comes_when_an_order_comes() -> None:
    stock = steady(store=1_500)
    usual, small = try_out(stock, NOTHING), try_out(stock, Changes(order=50))
    assert (usual.ordered, usual.suggested, usual.chance_after) == (500, 500, 0.0)
    assert (small.ordered, small.suggested, small.chance_after) == (50, 500, 0.99)
    assert small.chance_before == usual.chance_before
    assert small.empty_despite == 21
    nothing = try_out(stock, Changes(order=0))
    assert nothing.next_arrival is None
    assert nothing.empty_despite == nothing.empty


def test_where_nothing_is_free_the_stock_is_gone_already() -> None:
    outcome = try_out(steady(store=10, backlog=10), NOTHING)
    assert (outcome.empty, outcome.chance_before) == (0, 1.0)


def test_past_the_calendar_ahead_there_is_no_day() -> None:
    outcome = try_out(steady(store=100_000, lead_days=200), NOTHING)
    assert (outcome.empty, outcome.next_arrival, outcome.suggested) == (None, None, 0)
    beyond = steady(arrivals=(Arrival(column=DAYS + 5, quantity=10),), inbound=10)
    assert try_out(beyond, NOTHING).next_arrival == 17


@settings(deadline=None)
@given(
    outreach=st.integers(0, 3_000),
    column=st.integers(0, DAYS - 1),
    late=st.integers(0, 30),
    cap=st.integers(1, 400),
    order=st.integers(0, 5_000),
)
def test_each_change_works_one_way(outreach: int, column: int, late: int, cap: int, order: int) -> None:
    stock, _ = projected()
    stock = replace(stock, arrivals=(Arrival(column=10, quantity=700),))
    usual = try_out(stock, Changes(order=order))

    def later(day: int | None) -> int:
        return 10_000 if day is None else day

    def worse(a: Outcome, b: Outcome) -> bool:
        return later(a.empty_despite) <= later(b.empty_despite) and a.chance_after >= b.chance_after

    more = try_out(stock, Changes(order=order, outreach=outreach, outreach_column=column))
    assert worse(more, usual)
    assert more.suggested >= usual.suggested
    assert worse(usual, try_out(stock, Changes(order=order, cap=cap)))
    assert later(try_out(stock, Changes(order=order, late_days=late)).empty_despite) <= later(usual.empty_despite)
    assert worse(try_out(stock, Changes(order=order, nothing_comes=True)), usual)
    assert worse(usual, try_out(stock, Changes(order=order + 500)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (Changes(late_days=121), "late_days_range"),
        (Changes(late_days=-1), "late_days_range"),
        (Changes(outreach=10_000_001), "quantity_too_large"),
    ],
)
def test_what_cannot_be_is_refused(changes: Changes, code: str) -> None:
    check_changes(NOTHING)
    with pytest.raises(Invalid, match=code):
        check_changes(changes)
