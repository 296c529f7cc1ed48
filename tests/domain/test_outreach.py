"""Outreach plans: which days, hours and numbers make sense, and what may follow what."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.offices import OfficeKind
from inventory.domain.outreach import check_day, check_held, check_plan, check_planned, check_planner
from inventory.domain.quantities import MAX_QUANTITY

TODAY = date(2024, 5, 15)
EIGHT, NOON = time(8), time(12)


@pytest.mark.parametrize("days", [0, 1, 366])
def test_a_plan_is_for_today_or_the_year_to_come(days: int) -> None:
    check_day(TODAY + timedelta(days=days), TODAY)


@pytest.mark.parametrize("days", [-1, -400, 367])
def test_a_plan_for_another_day_is_refused_with_the_days_that_can_be(days: int) -> None:
    with pytest.raises(Invalid, match="outreach_day_range") as caught:
        check_day(TODAY + timedelta(days=days), TODAY)
    assert caught.value.facts == {"first": TODAY, "last": date(2025, 5, 16)}


@pytest.mark.parametrize(("starts", "ends"), [(None, None), (EIGHT, NOON)])
def test_hours_are_both_known_or_neither(starts: time | None, ends: time | None) -> None:
    check_plan("SMA 1", starts, ends, {1: 200})


@pytest.mark.parametrize(
    ("place", "starts", "ends", "expected", "code"),
    [
        (" ", None, None, {1: 1}, "outreach_place_missing"),
        ("SMA 1", EIGHT, None, {1: 1}, "outreach_hours"),
        ("SMA 1", None, EIGHT, {1: 1}, "outreach_hours"),
        ("SMA 1", NOON, EIGHT, {1: 1}, "outreach_hours"),
        ("SMA 1", NOON, NOON, {1: 1}, "outreach_hours"),
        ("SMA 1", None, None, {}, "nothing_entered"),
        ("SMA 1", None, None, {1: 0}, "quantity_not_positive"),
        ("SMA 1", None, None, {1: MAX_QUANTITY + 1}, "quantity_too_large"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    place: str, starts: time | None, ends: time | None, expected: dict[int, int], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        check_plan(place, starts, ends, expected)


def test_only_what_is_planned_can_change() -> None:
    check_planned("planned")
    for status in ("held", "called_off"):
        with pytest.raises(Refusal, match="outreach_closed"):
            check_planned(status)


@pytest.mark.parametrize("kind", list(OfficeKind))
def test_every_office_plans_but_a_team(kind: OfficeKind) -> None:
    if kind is OfficeKind.OUTREACH:
        with pytest.raises(Invalid, match="outreach_of_team"):
            check_planner(kind)
    else:
        check_planner(kind)


def test_what_was_printed_is_counted_whole_or_not_at_all() -> None:
    check_held(TODAY, TODAY, [1, 2], {})
    check_held(TODAY - timedelta(days=9), TODAY, [1, 2], {1: 0, 2: 80})
    for wrong, code in (
        ({1: 5}, "outreach_items_differ"),
        ({1: 5, 2: 5, 3: 5}, "outreach_items_differ"),
        ({1: -1, 2: 0}, "quantity_negative"),
        ({1: MAX_QUANTITY + 1, 2: 0}, "quantity_too_large"),
    ):
        with pytest.raises(Invalid, match=code):
            check_held(TODAY, TODAY, [1, 2], wrong)
    with pytest.raises(Invalid, match="outreach_not_yet"):
        check_held(TODAY + timedelta(days=1), TODAY, [1], {})
