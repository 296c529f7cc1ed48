"""The rules of the daily closing, without a database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from inventory.domain.closings import Difference, check_complete, check_may_clear, days_left_out, differences
from inventory.domain.errors import Invalid, NotAllowed, Refusal

DAY = date(2024, 5, 15)


def test_a_closing_that_agrees_has_no_difference() -> None:
    assert differences(90, 90, 10, 10) == []
    assert differences(90, 90, 10, None) == []


def test_each_figure_that_disagrees_is_a_difference() -> None:
    assert differences(90, 88, 10, 12) == [
        Difference(kind="store", expected=90, found=88),
        Difference(kind="printed", expected=10, found=12),
    ]


def test_who_closed_the_day_does_not_clear_it_and_the_system_never_does() -> None:
    assert check_may_clear(2, closed_by_id=1) == 2
    with pytest.raises(Refusal, match="own_closing"):
        check_may_clear(1, closed_by_id=1)
    with pytest.raises(NotAllowed):
        check_may_clear(None, closed_by_id=1)


@pytest.mark.parametrize(
    ("left", "printed"),
    [({"kia"}, {"kia"}), ({"kia", "film"}, set[str]()), ({"kia", "film"}, {"kia", "film"}), ({"kia", "x"}, {"kia"})],
)
def test_everything_held_is_counted_and_cards_are_told_of_blanks_only(left: set[str], printed: set[str]) -> None:
    check_complete(["kia", "film"], {"kia", "film"}, {"kia"}, {"kia"})
    with pytest.raises(Invalid, match="closing_items_differ"):
        check_complete(["kia", "film"], left, printed, {"kia"})


def test_days_are_owed_from_the_first_closing_on() -> None:
    week = [DAY + timedelta(days=back) for back in range(-4, 1)]
    assert days_left_out(week, {DAY - timedelta(days=1)}, first_closing=DAY - timedelta(days=3)) == [
        DAY - timedelta(days=2),
        DAY,
    ]
