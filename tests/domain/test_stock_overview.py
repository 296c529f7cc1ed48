"""The order of a table's lines after a click, and the scale of its bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.stock_overview import FIRST_DOWN, SCALES, SORTS, Asking, scale_of

DAYS = st.floats(0, 400, allow_nan=False)


@pytest.mark.parametrize("sort", SORTS)
def test_a_first_click_shows_what_people_look_for_and_a_second_turns_it_round(sort: str) -> None:
    first = Asking(sort="none", page=3, level="low").sorted_by(sort)
    assert (first.sort, first.down, first.page, first.level) == (sort, sort in FIRST_DOWN, 1, "low")
    assert first.sorted_by(sort).down is not first.down


def test_filters_look_among_all_offices() -> None:
    assert not Asking().flat
    assert all(each.flat for each in (Asking(level="out"), Asking(words="denpasar"), Asking(everything=True)))


@given(st.lists(DAYS | st.none(), max_size=60), st.lists(DAYS | st.none(), max_size=20))
def test_the_scale_holds_all_marks_and_nine_covers_in_ten(
    covers: list[float | None], marks: list[float | None]
) -> None:
    scale = scale_of(covers, marks)
    assert scale in SCALES
    known = [each for each in covers if each is not None]
    if scale < SCALES[-1]:
        assert all(mark is None or mark <= scale for mark in marks)
        assert sum(cover <= scale for cover in known) >= 0.9 * len(known)


def test_one_office_with_stock_for_years_does_not_press_the_others_flat() -> None:
    assert scale_of([3.0] * 19 + [500.0], [4.0]) == 5
    assert scale_of([], []) == SCALES[0]
