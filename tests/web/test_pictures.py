"""Where a picture's lines and bands stand, from made-up facts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.coverage import Share
from inventory.domain.series import PARTS, Closing, Step
from inventory.services.arrivals import Expected
from inventory.services.series import Usage, Used
from inventory.web.pictures import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Ahead,
    Outlook,
    Stacked,
    outlook,
    progress,
    stacked,
)
from inventory.web.pictures.scales import Scale, round_figures, thinned

TODAY = date(2024, 5, 15)
PAST = tuple(
    Closing(day=TODAY - timedelta(days=n), store=1_000 + 100 * n, arrived=500 if n == 3 else 0)
    for n in range(9, -1, -1)
)
SHARES = {"0.025": 0.7, "0.1": 0.8, "0.25": 0.9, "0.5": 1.0, "0.75": 1.1, "0.9": 1.2, "0.975": 1.3}


def facts(days: int = 20, per_day: float = 100.0, **more: Any) -> dict[str, Any]:
    fan: dict[str, Any] = {"days": [(TODAY + timedelta(days=n)).isoformat() for n in range(1, days + 1)]}
    fan |= {name: [share * per_day * n for n in range(1, days + 1)] for name, share in SHARES.items()}
    return {"on_day": TODAY.isoformat(), "usable": 1_000, "reorder_point": 800, "fan": fan, **more}


def drawn(*args: Any) -> Outlook:
    found = outlook(*args)
    assert found is not None
    return found


def points(written: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, _, y in (pair.partition(",") for pair in written.split())]


def test_everything_lies_within_the_picture() -> None:
    found = drawn(PAST, facts(), [])
    every = [point for text in (found.past, found.median, *found.bands) for point in points(text)]
    assert len(every) > 100
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in every)
    assert TOP <= found.zero <= HEIGHT - BOTTOM


def test_bands_lie_in_each_other_around_the_median() -> None:
    found = drawn(PAST, facts(days=8), [])
    assert len(found.bands) == 3
    likely = points(found.median)
    for band in found.bands:
        corners = points(band)
        assert len(corners) == 2 * len(likely)
        upper, lower = corners[: len(likely)], corners[len(likely) :][::-1]
        assert upper[0] == lower[0] == likely[0], "all begin with the stock that was there"
        # A larger y is further down.
        assert all(high[1] <= middle[1] <= low[1] for high, middle, low in zip(upper, likely, lower, strict=True))
    widths = [max(y for _, y in points(band)) - min(y for _, y in points(band)[1:]) for band in found.bands]
    assert widths == sorted(widths, reverse=True)


def test_the_stock_goes_down_in_steps_and_the_likely_line_meets_zero_when_it_runs_out() -> None:
    found = drawn(PAST, facts(), [])
    past = points(found.past)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(past))
    # A thousand at a hundred a day: gone on the tenth day ahead. The luckiest cases leave the picture on the 18th.
    x, y = points(found.median)[10]
    assert y == pytest.approx(found.zero, abs=0.1)
    assert x == pytest.approx(LEFT + 19 / 27 * (WIDTH - LEFT - RIGHT), abs=0.1)


def test_days_on_which_all_is_gone_are_not_drawn_but_told() -> None:
    found = drawn(PAST, facts(days=28), [])
    last = max(x for band in found.bands for x, _ in points(band))
    assert last == WIDTH - RIGHT
    assert len(points(found.bands[0])) < 2 * 28
    assert len(points(found.median)) < len(points(found.bands[0])) / 2
    assert len(found.rows) == 28
    assert found.rows[0] == Ahead(day=TODAY + timedelta(days=1), likely=900, low=880, high=920)
    assert found.rows[-1].likely == 1_000 - 2_800


def test_deliveries_stand_on_their_days() -> None:
    coming = [
        Expected(on_day=TODAY + timedelta(days=5), quantity=700, transfer_id=1),
        Expected(on_day=TODAY - timedelta(days=1), quantity=10, transfer_id=2),
        Expected(on_day=TODAY + timedelta(days=300), quantity=20, transfer_id=3),
    ]
    found = drawn(PAST, facts(), coming)
    assert [(mark.day, mark.quantity) for mark in found.arrived] == [(TODAY - timedelta(days=3), 500)]
    assert [(mark.day, mark.quantity) for mark in found.expected] == [(TODAY + timedelta(days=5), 700)]
    assert found.arrived[0].x < found.today < found.expected[0].x


def test_labels_are_round_and_keep_their_distance() -> None:
    found = drawn(PAST, facts(), [])
    assert [figure for _, figure in found.figures] == [0, 500, 1_000, 1_500]
    places = [x for x, _ in found.days]
    assert places == sorted(places)
    assert all(b - a >= 56 for a, b in itertools.pairwise(places))
    assert TODAY in [day for _, day in found.days]


def test_without_a_fan_the_past_is_drawn_alone() -> None:
    found = drawn(PAST, {}, [])
    assert (found.bands, found.median, found.reorder, found.rows) == ((), "", None, ())
    assert found.zero == HEIGHT - BOTTOM
    assert outlook(PAST[:1], {}, []) is None
    assert outlook((), {}, []) is None
    ahead = drawn((), facts(), [])
    assert ahead.past == ""
    assert len(ahead.bands) == 3


def test_an_empty_store_is_drawn_too() -> None:
    nothing = [Closing(day=day.day, store=0, arrived=0) for day in PAST]
    found = drawn(nothing, facts(usable=0, reorder_point=0), [])
    assert all(y == found.zero for _, y in points(found.past))


def test_a_reorder_point_far_above_the_stock_does_not_flatten_it() -> None:
    found = drawn(PAST, facts(reorder_point=50_000), [])
    assert found.reorder == TOP, "at the edge"
    assert drawn(PAST, facts(reorder_point=5_000), []).reorder == pytest.approx(TOP, abs=15)


def test_counts_and_the_likely_day_without_stock_are_marked() -> None:
    counted = [replace(each, counted=-7) if each.day.day == 10 else each for each in PAST]
    gone = TODAY + timedelta(days=10)
    found = drawn(counted, facts(stockout_on=gone.isoformat()), [])
    assert [(mark.day.day, mark.quantity) for mark in found.counted] == [(10, -7)]
    assert found.out is not None
    assert found.out[1] == gone
    assert found.today < found.out[0] <= WIDTH - RIGHT
    far = drawn(PAST, facts(stockout_on=(TODAY + timedelta(days=900)).isoformat()), [])
    assert far.out is None, "it is not on the picture"


def test_only_as_many_deliveries_have_their_quantity_written_as_there_is_room_for() -> None:
    daily = [Closing(day=TODAY - timedelta(days=n), store=1_000, arrived=100 + n % 7) for n in range(80, -1, -1)]
    found = drawn(daily, {}, [])
    assert len(found.arrived) == 81
    written = [mark for mark in found.arrived if mark.labelled]
    assert 2 <= len(written) <= 6
    assert all(b.x - a.x >= 40 for a, b in itertools.pairwise(written))
    assert {mark.quantity for mark in written} == {106}, "the largest come first"


@given(st.lists(st.integers(0, 9_000), min_size=2, max_size=1_900))
def test_years_take_no_more_points_than_the_picture_is_wide(stores: list[int]) -> None:
    days = [Closing(day=TODAY - timedelta(days=n), store=store, arrived=0) for n, store in enumerate(stores)][::-1]
    drawn_points = points(drawn(days, {}, []).past)
    assert len(drawn_points) <= 4 * (WIDTH - LEFT - RIGHT + 2)
    assert [x for x, _ in drawn_points] == sorted(x for x, _ in drawn_points)
    assert thinned(drawn_points) == drawn_points, "what is thin stays as it is"
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in drawn_points)
    # The least and the most are never thinned away.
    scale = Scale.over([each.day for each in days], max(1, *stores) * 1.05)
    heights = {y for _, y in drawn_points}
    assert {scale.y(min(stores)), scale.y(max(stores))} <= heights


@given(st.floats(1, 10**8))
def test_figures_beside_a_picture_are_few_and_begin_at_zero(most: float) -> None:
    found = round_figures(most)
    assert found[0] == 0
    assert len(found) <= 5
    assert all(figure <= most for figure in found)
    assert found == sorted(set(found))


def usage_of(*columns: dict[str, int], step: Step = Step.DAY) -> Usage:
    parts = tuple(part for part in PARTS if any(part in each for each in columns))
    used = tuple(
        Used(first=day, last=day, by_part=each, open_days=1, outreach=(), events=())
        for each, day in ((each, TODAY + timedelta(days=n)) for n, each in enumerate(columns))
    )
    some: Any = None
    last = TODAY + timedelta(days=len(columns) - 1)
    return Usage(office=some, item=some, since=TODAY, until=last, step=step, parts=parts, used=used, synthetic=False)


columns = st.lists(st.dictionaries(st.sampled_from(PARTS), st.integers(1, 60_000)), min_size=1, max_size=106)


@given(columns)
def test_stacked_parts_add_up_to_their_column_and_stay_on_the_picture(given_columns: list[dict[str, int]]) -> None:
    found = stacked(usage_of(*given_columns))
    if not any(given_columns):
        assert found is None
        return
    assert isinstance(found, Stacked)
    for column, used in zip(found.columns, given_columns, strict=True):
        assert sum(block.quantity for block in column.blocks) == column.used.total == sum(used.values())
        assert column.x >= LEFT
        assert column.x + column.width <= WIDTH - RIGHT + 0.1
        edges = [found.zero, *(block.y for block in column.blocks)]
        heights = [below - above for below, above in itertools.pairwise(edges)]
        assert heights == pytest.approx([block.height for block in column.blocks], abs=0.11), "each on the one below"
        assert column.top == edges[-1] >= TOP
    assert all(b.x >= a.x + a.width for a, b in itertools.pairwise(found.columns))
    assert all(b - a >= 56 for (a, _), (b, _) in itertools.pairwise(found.days))


def published(*rows: tuple[date, dict[str, tuple[int, int]]]) -> Any:
    return [(day, {name: Share(part=a, whole=b, as_of=day) for name, (a, b) in told.items()}, {}) for day, told in rows]


def test_coverage_is_drawn_as_it_was_published() -> None:
    # Kota Denpasar, by inventory/data/reported.csv.
    history = published(
        (date(2024, 5, 22), {"enrolled": (511_434, 516_875), "digital": (21_053, 511_434)}),
        (date(2023, 9, 12), {"enrolled": (498_773, 506_409), "digital": (6_010, 498_773)}),
        (date(2017, 9, 30), {"enrolled": (445_540, 492_765), "owned": (364_182, 492_765)}),
    )
    found = progress(history, (0.25, 0.30))
    assert found is not None
    by_name = {line.name: line for line in found.lines}
    assert [round(each.share, 4) for each in by_name["enrolled"].reported] == [0.9042, 0.9849, 0.9895]
    assert len(by_name["owned"].reported) == 1
    assert [aim for _, aim in found.aims] == [0.25, 0.30]
    for line in found.lines:
        xs = [each.x for each in line.reported]
        assert xs == sorted(xs)
        assert all(LEFT <= each.x <= WIDTH - RIGHT and TOP <= each.y <= HEIGHT - BOTTOM for each in line.reported)
    assert by_name["enrolled"].newest.y < found.aims[1][0] < found.aims[0][0] < by_name["digital"].newest.y
    assert progress(history[:1], (0.25,)) is None, "one day is no history"


def test_figures_of_shares_that_lie_close_are_written_apart() -> None:
    day, later = date(2023, 1, 1), date(2024, 1, 1)
    close = {"enrolled": (99, 100), "owned": (98, 100), "digital": (97, 100)}
    found = progress(published((day, close), (later, close)), (0.25, 0.30))
    assert found is not None
    written = sorted(line.label_y for line in found.lines)
    assert all(b - a >= 11 for a, b in itertools.pairwise(written))
