"""The benchmark of alerts: its stocks keep the law, its nights know nothing of the days to come."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask import Flask

from inventory.bench import Figure, alerts
from inventory.bench.alerts import SETTLING, Night, Tally, of_average, of_product, readings_of, simulate
from inventory.domain.alert_figures import Timing, Verdict
from inventory.domain.alerts import Level, Reading

SEED = 3


@pytest.fixture(scope="module")
def simulated() -> alerts.Simulated:
    return simulate(SEED, 12, 70)


def test_the_stocks_keep_the_law(simulated: alerts.Simulated) -> None:
    stocks, world = simulated.stocks, simulated.world
    begin = simulated.first - SETTLING
    closing, days = stocks.closing[:, begin:], slice(begin, world.days)
    assert (closing >= 0).all()
    change = (stocks.arrived - stocks.printed)[:, days]
    np.testing.assert_array_equal(np.diff(closing, axis=1), change[:, 1:])
    opening = closing - change + stocks.arrived[:, days]
    np.testing.assert_array_equal(stocks.stocked_out[:, days], (opening <= 0) | (closing <= 0))
    assert (stocks.served <= stocks.printed).all()
    assert (stocks.printed[:, days][~world.open[:, days]] == 0).all()
    assert stocks.stocked_out[:, days].any(), "or there is nothing to warn of"
    assert (stocks.inbound[:, days] > 0).any()


def test_a_night_knows_nothing_of_the_days_to_come(simulated: alerts.Simulated) -> None:
    night = simulated.nights[20]
    later = slice(night.day + 1, None)
    world, stocks = simulated.world, simulated.stocks
    requests, printed, closing = world.requests.copy(), stocks.printed.copy(), stocks.closing.copy()
    for each in (requests, printed, closing):
        each[:, later] = 7
    other = replace(stocks, printed=printed, closing=closing)
    changed = Night(replace(world, requests=requests), other, night.offices, night.day)
    assert readings_of(changed, 0.95) == readings_of(night, 0.95)
    assert list(of_average([changed])) == list(of_average([night]))


def test_the_stocks_are_the_same_whether_or_not_lead_times_were_learnt(simulated: alerts.Simulated) -> None:
    learnt = simulate(SEED, 12, 70, learnt=True)
    np.testing.assert_array_equal(learnt.stocks.closing, simulated.stocks.closing)
    assert learnt.offices.horizon.lead_weights is not None
    assert simulated.offices.horizon.lead_weights is None


def test_the_readings_are_what_the_review_measures(simulated: alerts.Simulated) -> None:
    night = simulated.nights[30]
    found = readings_of(night, 0.95)
    assert [each.store for each in found] == night.store.tolist()
    assert [each.inbound for each in found] == night.inbound.tolist()
    assert all(each.known and each.reorder_point <= each.order_up_to for each in found)
    surer = readings_of(night, 0.99)
    assert all(a.reorder_point <= b.reorder_point for a, b in zip(found, surer, strict=True))
    assert [a.stockout_in_lead for a in found] == [b.stockout_in_lead for b in surer]


def always(simulated: alerts.Simulated, **changes: Any) -> Tally:
    """What comes of an alert that says the same every night."""
    reading = Reading(
        store=1, usable=1, inbound=0, known=True, reorder_point=0.0, order_up_to=0.0, stockout_in_lead=0.0
    )
    tally = Tally()
    nights = simulated.nights
    some = [replace(reading, **changes)] * simulated.offices.lead.size
    tally.add(simulated, ((night.day, some) for night in nights))
    return tally


def test_who_never_warns_misses_all_and_who_always_warns_misses_none(simulated: alerts.Simulated) -> None:
    never = always(simulated)
    assert never.outs
    assert {each.timing for each in never.outs} == {Timing.MISSED}
    assert never.verdicts == []
    ever = always(simulated, reorder_point=2.0)
    assert {each.timing for each in ever.outs} == {Timing.IN_TIME}
    assert ever.verdicts == [], "what is low on the first night may have been so for long"


@pytest.mark.slow
def test_the_product_warns_of_most_stock_outs(simulated: alerts.Simulated) -> None:
    tally = Tally()
    tally.add(simulated, of_product(simulated.nights))
    assert len(tally.outs) >= 2
    warned = [each for each in tally.outs if each.timing is not Timing.MISSED]
    assert len(warned) >= 0.8 * len(tally.outs)
    assert Verdict.NEEDED in tally.verdicts
    assert len(tally.unbroken) == len(tally.outs)
    assert len(tally.in_lead) == len(tally.verdicts) >= len(tally.ordering) > 0


def test_the_command_prints_the_figures_and_fails_when_one_misses(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def measure(share: float) -> Any:
        def measured(*, quick: bool) -> list[Figure]:
            asked.append(quick)
            return [Figure("in time", share, 0.95, 0.97)]

        return measured

    runner = app.test_cli_runner()
    monkeypatch.setattr(alerts, "measure", measure(0.9))
    result = runner.invoke(args=["bench", "alerts", "--json", "--quick"])
    assert result.exit_code == 1
    [found] = json.loads(result.output)
    assert {key: found[key] for key in ("figure", "value", "must", "aim", "met")} == {
        "figure": "in time",
        "value": 0.9,
        "must": 0.95,
        "aim": 0.97,
        "met": False,
    }
    monkeypatch.setattr(alerts, "measure", measure(0.96))
    assert runner.invoke(args=["bench", "alerts"]).exit_code == 0
    assert asked == [True, False]


def test_figures_have_the_musts_of_the_product_alone(simulated: alerts.Simulated) -> None:
    tally = always(simulated)
    own = {each.figure: each for each in alerts._figures("", tally, must=True)}
    assert [name for name, each in own.items() if each.must is not None] == [
        "stock-outs warned of at least the lead time before",
        "false warnings",
    ]
    assert own["stock-outs without a warning"].value == 1.0
    assert not own["stock-outs warned of at least the lead time before"].met
    assert all(each.must is None for each in alerts._figures("rival: ", tally, must=False))


def test_levels_are_those_of_the_product(simulated: alerts.Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "next_level", lambda previous, reading: Level.OK)
    assert {each.timing for each in always(simulated, reorder_point=2.0).outs} == {Timing.MISSED}
