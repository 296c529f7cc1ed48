"""When what is under way is counted on."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from inventory.domain.arrivals import counted_on

NIGHT = date(2024, 5, 15)


@pytest.mark.parametrize("ahead", [1, 2, 30])
def test_what_is_yet_to_come_counts_from_its_day(ahead: int) -> None:
    assert counted_on(NIGHT + timedelta(days=ahead), NIGHT, 10) == NIGHT + timedelta(days=ahead)


@pytest.mark.parametrize(
    ("lead_time", "late", "counts"),
    [
        (10, 0, True),
        (10, 1, True),
        (10, 14, True),
        (10, 15, False),
        (5, 7, True),
        (5, 8, False),
        (1, 2, True),
        (1, 3, False),
    ],
)
def test_what_is_late_counts_for_the_day_after_tomorrow_until_a_lead_time_has_passed(
    lead_time: int, late: int, counts: bool
) -> None:
    """Ten working days are fourteen days."""
    found = counted_on(NIGHT - timedelta(days=late), NIGHT, lead_time)
    assert found == (NIGHT + timedelta(days=2) if counts else None)


def test_where_nothing_takes_time_what_did_not_come_today_is_given_up() -> None:
    assert counted_on(NIGHT, NIGHT, 0) == NIGHT + timedelta(days=2)
    assert counted_on(NIGHT - timedelta(days=1), NIGHT, 0) is None
