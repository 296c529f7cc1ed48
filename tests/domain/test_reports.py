"""The arithmetic of a month: nothing is left over, and what came late explains every difference."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import EFFECTS, NOTHING, Effect
from inventory.domain.reports import (
    ACCOUNTS,
    Account,
    Change,
    Month,
    accounts_of,
    added,
    check_over,
    differences,
    rows_of,
    total_of,
)

KEYS = [(kind.value, reason) for kind, reason in EFFECTS]
MONTHS = st.builds(Month, st.integers(2011, 2099), st.integers(1, 12))
SUMS = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 10_000))
FIGURES = st.builds(Effect, *([st.integers(0, 10_000)] * 8))


@given(MONTHS)
def test_months_follow_each_other_without_a_day_between(month: Month) -> None:
    assert (month.next().first - month.last).days == 1
    assert month.next().before() == month
    assert Month.of(month.last) == Month.of(month.first) == month
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-5", "2024-13", "2024-00", "0000-01", "9999-12", "2024-05-01", "٢٠٢٤-٠٥", "2024_05"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="month_format"):
        Month.parse(text)


def test_a_month_is_reported_when_it_is_over() -> None:
    check_over(Month(2024, 5), date(2024, 6, 1))
    with pytest.raises(Refusal, match="month_not_over"):
        check_over(Month(2024, 5), date(2024, 5, 31))


@given(FIGURES, SUMS)
def test_every_account_adds_up_and_its_lines_are_those_of_the_ledger(
    opening: Effect, sums: dict[tuple[str, str], int]
) -> None:
    closing = opening.plus(total_of(sums))
    accounts = accounts_of(opening, sums, closing)
    assert tuple(account.place for account in accounts) == ACCOUNTS
    for account in accounts:
        assert account.opening == getattr(opening, account.place)
        assert account.closing == getattr(closing, account.place)
        assert account.opening + account.came - account.went == account.closing
        for change in account.changes:
            [effect] = [e for (kind, reason), e in EFFECTS.items() if (kind, reason) == (change.kind, change.reason)]
            assert change.quantity == getattr(effect, account.place) * sums[change.kind, change.reason] != 0
    moved = {key for key in sums if sums[key] and any(getattr(EFFECTS[key], place) for place in ACCOUNTS)}  # type: ignore[index]
    assert moved == {row for place in ACCOUNTS for row in rows_of(place, [accounts])}


@given(FIGURES, SUMS, st.sampled_from(ACCOUNTS), st.integers(1, 5))
def test_books_that_do_not_add_up_are_not_reported(
    opening: Effect, sums: dict[tuple[str, str], int], place: str, off: int
) -> None:
    closing = opening.plus(total_of(sums)).plus(NOTHING._replace(**{place: off}))
    with pytest.raises(ValueError, match="do not come to"):
        accounts_of(opening, sums, closing)
    with pytest.raises(ValueError, match="expected"):
        Account(place=place, opening=1, changes=(Change(kind="spoil", reason="misprint", quantity=off),), closing=1)


@given(FIGURES, SUMS, SUMS)
def test_the_closing_of_a_month_is_the_opening_of_the_next(
    opening: Effect, first: dict[tuple[str, str], int], second: dict[tuple[str, str], int]
) -> None:
    middle = opening.plus(total_of(first))
    end = middle.plus(total_of(second))
    before, after = accounts_of(opening, first, middle), accounts_of(middle, second, end)
    whole = accounts_of(opening, added(first, second), end)
    for a, b, both in zip(before, after, whole, strict=True):
        assert a.closing == b.opening
        assert (both.opening, both.closing) == (a.opening, b.closing)


@given(FIGURES, SUMS, SUMS)
def test_what_came_late_explains_every_difference(
    opening: Effect, known: dict[tuple[str, str], int], late: dict[tuple[str, str], int]
) -> None:
    now = added(known, late)
    then_accounts = accounts_of(opening, known, opening.plus(total_of(known)))
    now_accounts = accounts_of(opening, now, opening.plus(total_of(now)))
    found = differences({"x": then_accounts}, {"x": now_accounts})
    for place in ACCOUNTS:
        by_line = {(d.kind, d.reason): d.now - d.then for d in found if d.place == place}
        closing = by_line.pop(("closing", ""), 0)
        assert closing == sum(by_line.values()) == getattr(total_of(late), place)
        assert by_line == {
            key: getattr(EFFECTS[key], place) * quantity  # type: ignore[index]
            for key, quantity in late.items()
            if quantity and getattr(EFFECTS[key], place)  # type: ignore[index]
        }
    assert differences({"x": now_accounts}, {"x": now_accounts}) == []


def test_an_item_that_was_not_there_then_differs_wholly() -> None:
    sums = {("receipt", "supplied"): 5}
    now = {"x": accounts_of(NOTHING, sums, total_of(sums))}
    assert [(d.kind, d.then, d.now) for d in differences({}, now)] == [("receipt", 0, 5), ("closing", 0, 5)]
    assert [(d.kind, d.then, d.now) for d in differences(now, {})] == [("receipt", 5, 0), ("closing", 5, 0)]
