"""The rules of stocktakes, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.ledger import Kind, Line, check_moment
from inventory.domain.stocktakes import (
    ToBook,
    check_count,
    check_may_approve,
    check_shown,
    count_lines,
    counted_at,
    is_in_book,
    left_to_book,
)

OPENED = datetime(2024, 5, 15, 1, 0, 30, tzinfo=UTC)
NOW = OPENED + timedelta(hours=2)
DAY = date(2024, 5, 15)


def test_a_count_is_made_now_unless_its_time_is_told() -> None:
    assert counted_at(None, OPENED, NOW) == NOW
    assert counted_at(NOW - timedelta(hours=1), OPENED, NOW) == NOW - timedelta(hours=1)


def test_a_count_lies_between_the_opening_and_now() -> None:
    with pytest.raises(Invalid, match="count_in_future"):
        counted_at(NOW + timedelta(minutes=1), OPENED, NOW)
    with pytest.raises(Invalid, match="count_before_opening"):
        counted_at(OPENED - timedelta(minutes=1), OPENED, NOW)


def test_the_minute_of_the_opening_is_not_before_it() -> None:
    assert counted_at(OPENED.replace(second=0), OPENED, NOW) == OPENED


@pytest.mark.parametrize(
    ("day", "moment", "within"),
    [
        (DAY - timedelta(days=1), NOW + timedelta(days=3), True),
        (DAY, NOW, True),
        (DAY, NOW + timedelta(microseconds=1), False),
        (DAY + timedelta(days=1), NOW - timedelta(days=3), False),
    ],
)
def test_the_book_of_a_count_ends_at_its_instant(day: date, moment: datetime, within: bool) -> None:
    assert is_in_book(day, moment, DAY, NOW) is within


def test_nobody_approves_what_they_took_part_in_and_the_system_never_does() -> None:
    assert check_may_approve(3, {1, 2, None}) == 3
    with pytest.raises(Refusal, match="own_count"):
        check_may_approve(2, {1, 2, None})
    with pytest.raises(NotAllowed):
        check_may_approve(None, {1, None})


def test_what_is_booked_is_what_was_shown() -> None:
    check_shown({"kia": -2}, {"kia": -2})
    for shown in ({}, {"kia": -3}, {"kia": -2, "film": 0}):
        with pytest.raises(Refusal, match="differences_changed"):
            check_shown({"kia": -2}, shown)


@pytest.mark.parametrize(
    ("quantity", "code"), [(-1, "quantity_negative"), (10**8, "quantity_too_large"), (True, "not")]
)
def test_a_count_is_a_number_of_things(quantity: int, code: str) -> None:
    assert check_count(0) == 0
    with pytest.raises(Invalid, match=code):
        check_count(quantity)


def test_a_difference_is_booked_at_its_count_and_none_is_not() -> None:
    found = [
        ToBook(item_id=1, difference=-2, at=NOW, day=DAY),
        ToBook(item_id=2, difference=0, at=NOW, day=DAY),
        ToBook(item_id=3, difference=4, at=NOW, day=DAY),
    ]
    lines = count_lines(7, found)
    assert [(line.item_id, line.reason, line.quantity) for line in lines] == [(1, "short", 2), (3, "found", 4)]
    assert {(line.kind, line.effective_on, line.happened_at) for line in lines} == {(Kind.COUNT, DAY, NOW)}
    assert sum(line.effect.store for line in lines) == 2


def test_what_is_left_to_book_makes_the_sum_right() -> None:
    assert left_to_book(count=98, book=97, booked=-2) == 3
    assert left_to_book(count=98, book=100, booked=-2) == 0


def test_what_happened_at_a_known_instant_happened_on_its_day() -> None:
    def line(at: datetime) -> Line:
        return Line(office_id=1, item_id=1, kind=Kind.PRINT, reason="new", quantity=1, effective_on=DAY, happened_at=at)

    check_moment(line(NOW), NOW, "Asia/Makassar")
    with pytest.raises(Invalid, match="moment_in_future"):
        check_moment(line(NOW + timedelta(seconds=1)), NOW, "Asia/Makassar")
    # 16:30 UTC is half past midnight in Denpasar, and still the evening before in Jakarta.
    check_moment(line(datetime(2024, 5, 14, 16, 30, tzinfo=UTC)), NOW, "Asia/Makassar")
    with pytest.raises(Invalid, match="moment_on_other_day"):
        check_moment(line(datetime(2024, 5, 14, 16, 30, tzinfo=UTC)), NOW, "Asia/Jakarta")
