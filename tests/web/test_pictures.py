"""Where a picture's lines and bands stand, from made-up facts."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import pytest

from inventory.domain.series import Closing
from inventory.services.arrivals import Expected
from inventory.web.pictures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Ahead, Outlook, outlook

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
