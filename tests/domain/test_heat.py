"""Figures of a week, and their steps."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.heat import LIMITS, STEPS, Cell, Show, Week, badness, cell_of, step_of, usage_per_day
from inventory.domain.series import Closing

MONDAY = date(2024, 5, 13)


def closings(*stores: int) -> list[Closing]:
    return [Closing(day=MONDAY + timedelta(days=n), store=store, arrived=0) for n, store in enumerate(stores)]


def week(*stores: int, printed: int = 0, spoiled: int = 0) -> Week:
    return Week(closings=closings(*stores), printed=printed, spoiled=spoiled)


@pytest.mark.parametrize("show", Show)
@given(figures=st.tuples(st.floats(0, 200), st.floats(0, 200)))
def test_a_worse_figure_is_never_in_a_better_step(show: Show, figures: tuple[float, float]) -> None:
    small, large = sorted(figures)
    worse, better = (small, large) if show is Show.COVER else (large, small)
    assert STEPS.index(step_of(show, worse)) <= STEPS.index(step_of(show, better))


@pytest.mark.parametrize("show", Show)
def test_every_step_can_be_reached_and_begins_at_its_limit(show: Show) -> None:
    limits = LIMITS[show]
    at = [step_of(show, limit) for limit in limits]
    # Cover is lost below a limit, the others at it.
    assert at == list(STEPS[1:] if show is Show.COVER else STEPS[:4])
    assert step_of(show, 0) == ("out" if show is Show.COVER else "ok")


def test_cover_is_the_lowest_stock_over_a_days_use() -> None:
    assert cell_of(Show.COVER, week(500, 300, 900), 50) == Cell(6, "low")
    assert cell_of(Show.COVER, week(500, 0, 900), 50) == Cell(0, "out")
    assert cell_of(Show.COVER, week(500, 0, 900), 0) == Cell(0, "out"), "no stock lasts no day, whatever is used"
    assert cell_of(Show.COVER, week(500), 0) is None
    assert cell_of(Show.COVER, week(), 50) is None


def test_days_without_stock_are_counted_and_spoilage_is_a_share_of_what_was_used() -> None:
    assert cell_of(Show.STOCK_OUT_DAYS, week(0, 3, 0, 0), 5) == Cell(3, "critical")
    assert cell_of(Show.STOCK_OUT_DAYS, week(4, 3), 5) == Cell(0, "ok")
    assert cell_of(Show.SPOILAGE, week(printed=95, spoiled=5), 0) == Cell(0.05, "critical")
    assert cell_of(Show.SPOILAGE, week(5, 5), 9) is None


def test_days_on_which_nothing_could_be_used_say_nothing_of_a_days_use() -> None:
    days = closings(100, 0, 0, 50)
    used = {days[0].day: 60, days[1].day: 100, days[3].day: 40}
    assert usage_per_day(used, days) == pytest.approx(200 / 3), "a day that ends at zero was served, one at zero not"
    assert usage_per_day({}, days) == 0
    assert usage_per_day({}, []) == 0


def test_the_worst_come_first() -> None:
    def of(show: Show, *figures: float | None) -> tuple[float, float]:
        return badness(show, [None if figure is None else Cell(figure, "") for figure in figures])

    assert of(Show.COVER, 3, 3) > of(Show.COVER, 5, 5) > of(Show.COVER, 90, 90) > of(Show.COVER, None)
    assert of(Show.COVER, 20) == of(Show.COVER, 90), "more than enough is no better"
    assert of(Show.COVER, None, 4) > of(Show.COVER, 4, 5), "who began later is not the better for it"
    assert of(Show.STOCK_OUT_DAYS, 0, 5) > of(Show.STOCK_OUT_DAYS, 5, 0) > of(Show.STOCK_OUT_DAYS, 4, 0)
    assert of(Show.SPOILAGE, 0.1) > of(Show.SPOILAGE, 0.05, 0.05) > of(Show.SPOILAGE, 0)
