"""Day caps, clearing rates and the share of digital identities: what can be said, and what it comes to."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.caps import check_cap, check_stands, is_reached
from inventory.domain.clearing import check_digital, check_rate, parts_of_backlog
from inventory.domain.errors import Invalid, Refusal

TODAY = date(2024, 5, 15)


@pytest.mark.parametrize(("printed", "reached"), [(0, False), (75, False), (76, True), (80, True), (90, True)])
def test_a_cap_is_reached_from_95_percent_of_it_on(printed: int, reached: bool) -> None:
    assert is_reached(printed, 80) is reached


def test_a_cap_has_a_number_and_days_in_order() -> None:
    check_cap(50, TODAY - timedelta(days=90), None, TODAY)
    check_cap(50, TODAY, TODAY, TODAY)
    for most, first, last, code in (
        (0, TODAY, None, "quantity_not_positive"),
        (50, TODAY, TODAY - timedelta(days=1), "period_backwards"),
        (50, TODAY + timedelta(days=367), None, "cap_too_far"),
    ):
        with pytest.raises(Invalid, match=code):
            check_cap(most, first, last, TODAY)
    check_stands(False)
    with pytest.raises(Refusal, match="cap_withdrawn"):
        check_stands(True)


def test_a_rate_is_of_blanks_and_has_a_source() -> None:
    check_rate(40, "rencana kerja", is_blank=True)
    check_rate(None, "tidak direncanakan", is_blank=True)
    for per_day, source, is_blank, code in (
        (40, "rencana", False, "clearing_of_blanks_only"),
        (40, " ", True, "rate_needs_source"),
        (0, "rencana", True, "quantity_not_positive"),
    ):
        with pytest.raises(Invalid, match=code):
            check_rate(per_day, source, is_blank=is_blank)


def test_digital_identities_take_away_at_most_nine_tenths() -> None:
    for share in (0, 0.3, 0.9):
        check_digital(share, "surat edaran")
    for share in (-0.01, 0.91, float("nan")):
        with pytest.raises(Invalid, match="digital_share_range"):
            check_digital(share, "surat edaran")
    with pytest.raises(Invalid, match="rate_needs_source"):
        check_digital(0.1, "")


@given(
    st.integers(0, 10_000_000),
    st.dictionaries(st.integers(1, 9), st.integers(1, 10_000_000), min_size=1, max_size=5),
)
def test_a_backlog_is_shared_out_whole(backlog: int, rates: dict[int, int]) -> None:
    parts = parts_of_backlog(backlog, rates)
    assert set(parts) == set(rates)
    assert sum(parts.values()) == backlog
    total = sum(rates.values())
    for item_id, part in parts.items():
        assert abs(part - backlog * rates[item_id] / total) <= len(rates)


def test_a_backlog_with_one_rate_is_all_that_items() -> None:
    assert parts_of_backlog(7636, {1: 40}) == {1: 7636}
    assert parts_of_backlog(10, {1: 30, 2: 10}) == {1: 8, 2: 2}
    assert parts_of_backlog(0, {1: 30}) == {1: 0}
