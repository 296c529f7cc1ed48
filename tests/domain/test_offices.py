"""Codes, parents, settings and an office's own day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from inventory.domain.errors import Invalid
from inventory.domain.offices import (
    OfficeKind,
    OfficeSettings,
    check_code,
    check_parent,
    check_settings,
    check_time_zone,
    local_day,
    path_of,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lead_time_days": 0},
        {"lead_time_days": 250},
        {"review_period_days": 1},
        {"review_period_days": 250},
        {"service_level": 0.5},
        {"service_level": 0.999},
        {"working_days": "0000001"},
        {"working_days": "1111111"},
    ],
)
def test_settings_at_their_bounds_are_accepted(changes: dict[str, Any]) -> None:
    check_settings(replace(OfficeSettings(), **changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lead_time_days": -1}, "lead_time_range"),
        ({"lead_time_days": 251}, "lead_time_range"),
        ({"review_period_days": 0}, "review_period_range"),
        ({"review_period_days": 251}, "review_period_range"),
        ({"service_level": 0.4999}, "service_level_range"),
        ({"service_level": 0.9991}, "service_level_range"),
        ({"service_level": 1.0}, "service_level_range"),
        ({"service_level": 95}, "service_level_range"),
        ({"service_level": float("nan")}, "service_level_range"),
        ({"working_days": "0000000"}, "working_days_format"),
        ({"working_days": "111110"}, "working_days_format"),
        ({"working_days": "11111000"}, "working_days_format"),
        ({"working_days": "1111120"}, "working_days_format"),
        ({"working_days": "1111100\n"}, "working_days_format"),
        ({"working_days": "\u0661111100"}, "working_days_format"),
        ({"working_days": ""}, "working_days_format"),
    ],
)
def test_settings_past_their_bounds_are_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_settings(replace(OfficeSettings(), **changes))
    assert refused.value.code == code


@pytest.mark.parametrize("code", ["00", "51", "51.71", "51.71.01", "51.71.01.TIM1", "a", "12345678"])
def test_a_code_has_up_to_four_parts(code: str) -> None:
    assert check_code(code) == code


@pytest.mark.parametrize(
    "code",
    [
        "",
        ".",
        "51.",
        ".51",
        "51..71",
        "51.71.01.1.1",
        "123456789",
        "51/71",
        "51 71",
        "51~",
        "51%",
        "51_71",
        "51.71\n",
        "\u0665\u0661",
        "51.71\x00",
        "é",
    ],
)
def test_a_code_that_would_upset_paths_is_refused(code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_code(code)
    assert refused.value.code == "office_code_format"


def test_a_refused_code_is_not_repeated_at_any_length() -> None:
    with pytest.raises(Invalid) as refused:
        check_code("x" * 10_000)
    assert refused.value.facts["code"] == "x" * 40


# Which kind may belong to which, written out a second time; None is the top.
PARENTS: dict[str, set[str | None]] = {
    "ministry": {None},
    "province": {"ministry"},
    "regency": {"province"},
    "city": {"province"},
    "district": {"regency", "city"},
    "outreach": {"regency", "city", "district"},
}


@pytest.mark.parametrize("parent", [*OfficeKind, None])
@pytest.mark.parametrize("kind", list(OfficeKind))
def test_an_office_belongs_to_the_kinds_of_the_real_tree_only(kind: OfficeKind, parent: OfficeKind | None) -> None:
    if (parent.value if parent else None) in PARENTS[kind.value]:
        check_parent(kind, parent)
        return
    with pytest.raises(Invalid) as refused:
        check_parent(kind, parent)
    assert refused.value.code == "office_parent_kind"


@pytest.mark.parametrize("name", ["Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"])
def test_a_time_zone_of_the_country_is_accepted(name: str) -> None:
    assert check_time_zone(name) == name


@pytest.mark.parametrize("name", ["", "WIB", "asia/jakarta", "Asia/Singapore", "UTC", "../Asia/Jakarta"])
def test_another_time_zone_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="time_zone_unknown"):
        check_time_zone(name)


def test_a_path_holds_the_codes_from_the_top_down() -> None:
    top = path_of("00", None)
    province = path_of("51", top)
    assert (top, province, path_of("51.71", province)) == ("00/", "00/51/", "00/51/51.71/")


ZONES = [("Asia/Jakarta", 7), ("Asia/Pontianak", 7), ("Asia/Makassar", 8), ("Asia/Jayapura", 9)]


@pytest.mark.parametrize(("zone", "hours"), ZONES)
@pytest.mark.parametrize(
    ("clock", "day"),
    [
        ((2024, 6, 1, 9, 0), date(2024, 6, 1)),
        ((2024, 6, 1, 0, 0), date(2024, 6, 1)),
        ((2024, 6, 1, 23, 30), date(2024, 6, 1)),
        ((2024, 5, 31, 23, 59), date(2024, 5, 31)),
        ((2024, 1, 1, 0, 30), date(2024, 1, 1)),
        ((2023, 12, 31, 23, 30), date(2023, 12, 31)),
        ((2024, 2, 29, 12, 0), date(2024, 2, 29)),
    ],
)
def test_a_business_day_is_that_of_the_clock_on_the_offices_wall(
    zone: str, hours: int, clock: tuple[int, ...], day: date
) -> None:
    instant = datetime(*clock, tzinfo=UTC) - timedelta(hours=hours)  # type: ignore[misc]
    assert local_day(instant, zone) == day
    assert local_day(instant.astimezone(timezone(timedelta(hours=-5))), zone) == day


def test_offices_in_different_zones_have_different_days_at_the_same_instant() -> None:
    instant = datetime(2024, 5, 31, 16, 30, tzinfo=UTC)
    assert [local_day(instant, zone) for zone, _ in ZONES] == [
        date(2024, 5, 31),
        date(2024, 5, 31),
        date(2024, 6, 1),
        date(2024, 6, 1),
    ]


def test_an_instant_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="time zone"):
        local_day(datetime(2024, 6, 1, 9, 0), "Asia/Jakarta")  # noqa: DTZ001
