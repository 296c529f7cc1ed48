"""Series of days, against the plainest way to say the same."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.ledger import EFFECTS, EVERYDAY_CAUSES, PRINT_REASONS, Kind
from inventory.domain.series import (
    PARTS,
    SPOILED,
    Step,
    closings,
    monday_of,
    moved_by_day,
    part_of,
    periods,
    stores_before,
)

FIRST = date(2024, 1, 1)

totals = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(sorted(EFFECTS)), st.integers(0, 500)).map(
        lambda each: (FIRST + timedelta(days=each[0]), each[1][0].value, each[1][1], each[2])
    ),
    max_size=40,
)


@given(totals, st.integers(0, 20))
def test_closings_are_what_adding_up_from_the_first_day_gives(given_totals: list, last: int) -> None:
    opening = 100_000
    now = opening + sum(EFFECTS[Kind(kind), reason].store * quantity for _, kind, reason, quantity in given_totals)
    found = closings(now, moved_by_day(given_totals), FIRST, FIRST + timedelta(days=last))
    assert [each.day for each in found] == [FIRST + timedelta(days=number) for number in range(last + 1)]
    for each in found:
        until = [total for total in given_totals if total[0] <= each.day]
        assert each.store == opening + sum(EFFECTS[Kind(k), r].store * q for _, k, r, q in until)
        on_day = [total for total in until if total[0] == each.day]
        came = [
            EFFECTS[Kind(k), r].store * q for _, k, r, q in on_day if k in ("receipt", "arrival") and r != "cancelled"
        ]
        assert each.arrived == sum(came)
        assert each.counted == sum(q if r == "found" else -q for _, k, r, q in on_day if k == "count")


@given(totals, st.integers(0, 20))
def test_stores_before_are_the_closings(given_totals: list, last: int) -> None:
    moved, today = moved_by_day(given_totals), FIRST + timedelta(days=last)
    changes = {(today - day).days: each.change for day, each in moved.items()}
    told = [each.store for each in closings(100_000, moved, FIRST, today)]
    assert stores_before(100_000, changes, last + 1) == told


def test_no_days_have_no_closings() -> None:
    assert closings(5, {}, FIRST, FIRST - timedelta(days=1)) == ()


@given(st.dates(date(2011, 1, 1), date(2030, 1, 1)), st.integers(0, 800), st.sampled_from(Step))
def test_every_day_lies_in_one_period(since: date, days: int, step: Step) -> None:
    until = since + timedelta(days=days)
    found = list(periods(since, until, step))
    covered = [first + timedelta(days=n) for first, last in found for n in range((last - first).days + 1)]
    assert covered == [since + timedelta(days=number) for number in range(days + 1)]
    if step is Step.WEEK:
        assert all(first.weekday() == 0 for first, _ in found[1:])
        assert all(last.weekday() == 6 for _, last in found[:-1])
        assert len({monday_of(first) for first, _ in found}) == len(found)


def test_only_prints_and_everyday_spoilage_are_use() -> None:
    used = {pair: part_of(*pair) for pair in EFFECTS}
    assert {part for part in used.values() if part} == {*PARTS, "consumed"}
    assert {reason for (kind, reason), part in used.items() if part == SPOILED} == set(EVERYDAY_CAUSES)
    assert used[Kind.SPOIL, "obsolete"] is None
    assert all(used[Kind.PRINT, reason] == reason for reason in PRINT_REASONS)
    assert all(part is None for (kind, _), part in used.items() if kind not in (Kind.PRINT, Kind.SPOIL))
