"""Which stock-outs were warned of, how early, and which warnings were false."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inventory.domain.alert_figures import (
    Figures,
    Foretold,
    Record,
    Step,
    StockOut,
    Timing,
    Verdict,
    Warned,
    figures,
    foretold,
    stock_outs,
    verdict,
    warnings_of,
)
from inventory.domain.alerts import Level

LEAD = 3


def record(closing: list[int], *, arrived: dict[int, int] | None = None, closed: tuple[int, ...] = ()) -> Record:
    """Days of an office whose demand is what left the store; days without stock say nothing about it."""
    came = [(arrived or {}).get(day, 0) for day in range(len(closing))]
    before = [closing[0], *closing[:-1]]
    return Record(
        open=[day not in closed for day in range(len(closing))],
        closing=closing,
        arrived=came,
        demand=[was + new - left for was, new, left in zip(before, came, closing, strict=True)],
        censored=[was <= 0 or left <= 0 for was, left in zip(before, closing, strict=True)],
    )


def step(day: int, level: Level = Level.LOW, stock: int = 10, **changes: int) -> Step:
    said: dict[str, Any] = {"store": stock, "usable": stock, "lead_days": LEAD, "review_days": 2} | changes
    return Step(day=day, level=level, **said)


def warned(day: int, ended: int | None = None, stock: int = 10, **changes: int) -> Warned:
    return Warned(step=step(day, Level.LOW, stock, **changes), ended=ended)


RUNS_DRY = record([60, 50, 40, 30, 20, 10, 0, 0, 50, 40], arrived={8: 50})
"""Empty at the close of day 6."""


def test_a_warning_lasts_while_the_level_is_low_or_worse() -> None:
    steps = [
        step(1, Level.WATCH),
        step(3, Level.LOW),
        step(4, Level.CRITICAL),
        step(6, Level.WATCH),
        step(7, Level.OK),
        step(9, Level.OUT),
    ]
    found = warnings_of(steps)
    assert [(each.step.day, each.step.level, each.ended) for each in found] == [(3, "low", 6), (9, "out", None)]
    assert warnings_of([step(1, Level.WATCH), step(2, Level.UNKNOWN), step(3, Level.OK)]) == []


def test_a_stock_out_begins_on_an_open_day_that_closes_with_an_empty_store() -> None:
    assert stock_outs(RUNS_DRY) == [StockOut(first=6, last=7, days=2)]
    weekend = record([5, 0, 0, 0, 4, 0, 3, 0], closed=(1, 2))
    assert stock_outs(weekend) == [StockOut(first=3, last=3, days=1), StockOut(first=5, last=5, days=1),
                                   StockOut(first=7, last=7, days=1)]  # fmt: skip


def test_a_stock_out_that_began_before_the_record_is_left_out() -> None:
    assert stock_outs(record([0, 0, 5, 0])) == [StockOut(first=3, last=3, days=1)]
    assert stock_outs(record([0, 0])) == []


@pytest.mark.parametrize(
    ("opened", "timing", "lead"),
    # Read on the morning of day 3, asked for then, it comes after three more open days: on day 6.
    [(1, "in_time", 5), (3, "in_time", 3), (4, "late", 2), (6, "late", 0), (7, "missed", None)],
)
def test_the_lead_is_counted_as_a_delivery_waits(opened: int, timing: str, lead: int | None) -> None:
    [found] = foretold(RUNS_DRY, [warned(opened)], LEAD)
    assert (found.timing, found.lead) == (timing, lead)


def test_closed_days_do_not_count_in_the_lead() -> None:
    closed = replace(RUNS_DRY, open=[day not in (3, 4) for day in range(10)])
    # From the closed day 3 on nobody asks before day 5.
    assert [each.lead for each in foretold(closed, [warned(3)], LEAD)] == [1]
    assert [each.lead for each in foretold(closed, [warned(2)], LEAD)] == [2]


def test_the_lead_time_is_that_of_the_warning() -> None:
    [found] = foretold(RUNS_DRY, [warned(3, lead_days=4)], LEAD)
    assert found.timing is Timing.LATE


def test_a_warning_that_an_order_ended_counts_until_the_next_delivery() -> None:
    [found] = foretold(RUNS_DRY, [warned(1, ended=3)], LEAD)
    assert (found.timing, found.lead) == (Timing.IN_TIME, 5)
    assert [each.timing for each in foretold(RUNS_DRY, [warned(1, ended=3)], LEAD, unbroken=True)] == ["missed"]
    filled = replace(RUNS_DRY, arrived=[0, 0, 20, 0, 0, 0, 0, 0, 50, 0])
    assert [each.timing for each in foretold(filled, [warned(1, ended=3)], LEAD)] == ["missed"]
    # One that the delivery did not end still stands.
    assert [each.timing for each in foretold(filled, [warned(1, ended=4)], LEAD)] == ["in_time"]


def test_the_earliest_warning_counts() -> None:
    [found] = foretold(RUNS_DRY, [warned(2, ended=4), warned(5)], LEAD)
    assert found.lead == 4


STEADY = record([100 - 10 * day for day in range(10)])


def test_a_warning_is_false_when_the_stock_would_have_outlasted_lead_and_review() -> None:
    # Five open days from day 2 on need 50.
    assert verdict(STEADY, warned(2, stock=51)) is Verdict.FALSE
    assert verdict(STEADY, warned(2, stock=50)) is Verdict.NEEDED
    assert verdict(STEADY, warned(2, stock=31), review=False) is Verdict.FALSE
    assert verdict(STEADY, warned(2, stock=30), review=False) is Verdict.NEEDED


def test_what_was_inbound_counts_from_the_day_it_came() -> None:
    came = replace(STEADY, arrived=[0, 0, 0, 25, 0, 0, 0, 0, 0, 0])
    assert verdict(came, warned(2, stock=30, inbound=25)) is Verdict.FALSE
    assert verdict(came, warned(2, stock=30, inbound=20)) is Verdict.NEEDED, "the rest was ordered afterwards"
    late = replace(STEADY, arrived=[0, 0, 0, 0, 0, 25, 0, 0, 0, 0])
    assert verdict(late, warned(2, stock=30, inbound=25)) is Verdict.NEEDED, "the store was empty before it came"
    assert verdict(STEADY, warned(2, stock=30, inbound=25)) is Verdict.NEEDED, "it never came"


def test_days_without_stock_are_taken_as_the_other_days_were() -> None:
    dry = Record(
        open=[True] * 6,
        closing=[50, 40, 30, 0, 0, 20],
        arrived=[0] * 6,
        demand=[0, 10, 10, 5, 0, 10],
        censored=[False, False, False, True, True, False],
    )
    assert verdict(dry, warned(1, stock=51)) is Verdict.FALSE
    assert verdict(dry, warned(1, stock=50)) is Verdict.NEEDED
    assert verdict(dry, warned(1, stock=35)) is Verdict.NEEDED, "what was printed is enough to tell"
    blind = replace(dry, censored=[True, True, True, True, True, False])
    assert verdict(blind, warned(1, stock=51)) is Verdict.UNDECIDED


def test_what_is_not_over_is_undecided_unless_the_stock_is_gone_already() -> None:
    assert verdict(STEADY, warned(6, stock=41)) is Verdict.UNDECIDED
    assert verdict(STEADY, warned(6, stock=40)) is Verdict.NEEDED


def test_what_foretold_nothing_is_counted_apart() -> None:
    assert verdict(STEADY, warned(2, stock=0)) is Verdict.EMPTY
    assert verdict(STEADY, Warned(step=replace(step(2), known=False), ended=None)) is Verdict.NO_PROJECTION


def test_figures_add_up() -> None:
    out = StockOut(first=1, last=1, days=1)
    outs = [
        Foretold(stock_out=out, timing=timing, lead=lead)
        for timing, lead in ((Timing.IN_TIME, 9), (Timing.IN_TIME, 4), (Timing.LATE, 2), (Timing.MISSED, None))
    ]
    found = figures(outs, [Verdict.NEEDED] * 3 + [Verdict.FALSE, Verdict.UNDECIDED, Verdict.EMPTY])
    assert found == Figures(in_time=2, late=1, missed=1, needed=3, false=1, undecided=1, empty=1, median_lead=4.0)
    assert (found.stock_outs, found.warnings) == (4, 5)
    assert (found.in_time_share, found.missed_share, found.false_share) == (0.5, 0.25, 0.25)
    nothing = figures([], [])
    assert (nothing.in_time_share, nothing.missed_share, nothing.false_share, nothing.median_lead) == (None,) * 4
