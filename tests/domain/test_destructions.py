"""Breakdown, witnesses and the oldest of the spoiled."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.destructions import oldest_spoiled_day

START = date(2024, 5, 1)


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 120))
def test_the_oldest_that_is_left_is_found_as_by_a_queue(inflow: list[int], destroyed: int) -> None:
    queue = [START + timedelta(days=n) for n, count in enumerate(inflow) for _ in range(count)]
    by_day = {START + timedelta(days=n): count for n, count in enumerate(inflow)}
    left = queue[destroyed:]
    assert oldest_spoiled_day(by_day, destroyed) == (left[0] if left else None)
