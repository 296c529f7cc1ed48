from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.calendars import OfficeCalendar, check_period, day_from, parse_working_week
from inventory.domain.errors import Invalid

LEBARAN = {date(2026, 3, 20): "Idulfitri 1447 H", date(2026, 3, 21): "Idulfitri 1447 H"}
OFFICE = OfficeCalendar("1111100", LEBARAN)

days = st.dates(date(2020, 1, 1), date(2032, 12, 31))
weeks = st.text("01", min_size=7, max_size=7).filter(lambda text: "1" in text)
some_days = st.frozensets(st.dates(date(2025, 12, 1), date(2026, 3, 31)), max_size=12)
calendars = st.builds(
    OfficeCalendar,
    weeks,
    some_days.map(lambda found: dict.fromkeys(found, "holiday")),
    some_days,
    some_days,
)


def test_an_ordinary_week_is_open_from_monday_to_friday():
    assert OFFICE.flags(date(2026, 3, 9), date(2026, 3, 15)) == [True] * 5 + [False] * 2


def test_a_holiday_is_closed_and_a_weekday_in_the_same_week_is_open():
    assert not OFFICE.is_open(date(2026, 3, 20))
    assert OFFICE.is_open(date(2026, 3, 19))


def test_an_outreach_day_is_open_on_a_weekend_and_on_a_holiday():
    office = replace(OFFICE, outreach=frozenset({date(2026, 3, 14), date(2026, 3, 20)}))
    assert office.is_open(date(2026, 3, 14))
    assert office.is_open(date(2026, 3, 20))
    assert not office.is_open(date(2026, 3, 15))


def test_a_closure_of_its_own_wins_over_outreach():
    day = date(2026, 3, 14)
    assert not replace(OFFICE, outreach=frozenset({day}), closed=frozenset({day})).is_open(day)


def test_a_closure_shuts_an_ordinary_working_day():
    assert not replace(OFFICE, closed=frozenset({date(2026, 3, 10)})).is_open(date(2026, 3, 10))


def test_open_days_include_both_ends():
    assert OFFICE.open_days(date(2026, 3, 16), date(2026, 3, 18)) == [date(2026, 3, d) for d in (16, 17, 18)]


def test_an_end_before_the_start_holds_no_days():
    assert OFFICE.open_days(date(2026, 3, 18), date(2026, 3, 16)) == []
    assert OFFICE.count_open(date(2026, 3, 18), date(2026, 3, 16)) == 0


def test_the_next_open_day_after_a_long_weekend():
    assert OFFICE.nth_open_day(date(2026, 3, 19), 1) == date(2026, 3, 23)
    assert OFFICE.nth_open_day(date(2026, 3, 19), 6) == date(2026, 3, 30)


@pytest.mark.parametrize("n", [0, -1])
def test_open_days_are_counted_from_one(n):
    with pytest.raises(ValueError, match="counted from 1"):
        OFFICE.nth_open_day(date(2026, 3, 19), n)


def test_three_years_without_an_open_day_are_an_error():
    start = date(2026, 1, 1)
    shut = OfficeCalendar("1111111", closed=frozenset(start + timedelta(days=i) for i in range(1200)))
    with pytest.raises(ValueError, match="three years"):
        shut.nth_open_day(start, 1)


def test_a_closure_of_two_years_is_waited_for():
    start = date(2026, 1, 1)
    shut = OfficeCalendar("1111111", closed=frozenset(start + timedelta(days=i) for i in range(730)))
    assert shut.nth_open_day(start, 1) == start + timedelta(days=730)


def test_the_end_of_the_calendar_is_an_error_of_value():
    with pytest.raises(ValueError, match="no open day"):
        OFFICE.nth_open_day(date.max, 1)


@pytest.mark.parametrize("text", ["", "111110", "11111000", "111110x", "1111 00", "0000000", "١١١١١٠٠"])
def test_what_is_not_a_working_week_is_refused(text):
    with pytest.raises(ValueError, match="working week"):
        parse_working_week(text)
    with pytest.raises(ValueError, match="working week"):
        OfficeCalendar(text)


def test_a_working_week_reads_monday_first():
    assert parse_working_week("1000001") == (True, False, False, False, False, False, True)


def test_a_calendar_can_be_a_key():
    assert len({OFFICE, replace(OFFICE), replace(OFFICE, working_week="1111110")}) == 2


@given(calendars, days, st.integers(0, 200))
def test_count_list_and_flags_agree(office, start, length):
    end = start + timedelta(days=length)
    assert office.count_open(start, end) == len(office.open_days(start, end)) == sum(office.flags(start, end))


@given(calendars, st.dates(date(2025, 12, 1), date(2026, 3, 31)), st.integers(1, 40))
def test_the_nth_open_day_closes_a_span_of_n_open_days(office, after, n):
    day = office.nth_open_day(after, n)
    assert day > after
    assert office.is_open(day)
    assert office.count_open(after + timedelta(days=1), day) == n


def test_a_period_has_both_its_ends_and_a_most_of_days() -> None:
    check_period(date(2024, 5, 1), date(2024, 5, 1), 1)
    check_period(date(2024, 5, 1), date(2024, 5, 31), 31)
    with pytest.raises(Invalid, match="period_too_long") as raised:
        check_period(date(2024, 5, 1), date(2024, 6, 1), 31)
    assert raised.value.facts == {"limit": 31}
    with pytest.raises(Invalid, match="period_backwards"):
        check_period(date(2024, 5, 2), date(2024, 5, 1), 31)


@pytest.mark.parametrize(
    "text",
    [
        "20240515",
        "2024-W20-3",
        "2024-5-15",
        "2024-05-15T00:00",
        " 2024-05-15",
        "2024-02-30",
        "0000-01-01",
        "٢٠٢٤-٠٥-١٥",
    ],
)
def test_a_day_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError):
        day_from(text)
    assert day_from("2024-05-15") == date(2024, 5, 15)
