"""Seasons: Ramadan and Lebaran against known years, which of two counts on a day, and what teaches what."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import permutations

import pytest

from inventory.domain.errors import Invalid
from inventory.domain.events import Occurrence, Season, check_event, movable, numbered, season_of
from inventory.services.calendars import national_holidays

# Idul Fitri by the government's decrees; 2026 as the library has it (the 21st), 2027 as its forecast.
# The last days of collective leave (cuti bersama) are those of the joint ministerial decrees.
KNOWN = {
    2023: (date(2023, 4, 22), date(2023, 4, 25)),
    2024: (date(2024, 4, 10), date(2024, 4, 15)),
    2025: (date(2025, 3, 31), date(2025, 4, 7)),
    2026: (date(2026, 3, 21), date(2026, 3, 24)),
    2027: (date(2027, 3, 10), date(2027, 3, 15)),
}
FIRST_OF_RAMADAN = {
    2023: date(2023, 3, 23),
    2024: date(2024, 3, 12),
    2025: date(2025, 3, 1),
    2026: date(2026, 2, 19),
}
"""By the ministry of religion."""


def of_year(year: int) -> dict[str, Occurrence]:
    found = movable(national_holidays(year, year))
    return {each.season.kind: each for each in found if each.name == str(year)}


@pytest.mark.parametrize("year", KNOWN)
def test_the_fast_ends_on_the_eve_of_the_feast_and_the_surge_follows_the_leave(year: int) -> None:
    feast, last_of_leave = KNOWN[year]
    seasons = of_year(year)
    assert seasons["ramadan"].last == feast - timedelta(days=1)
    assert seasons["lebaran"].first == last_of_leave + timedelta(days=1)
    assert seasons["lebaran"].last == last_of_leave + timedelta(days=14)


@pytest.mark.parametrize("year", FIRST_OF_RAMADAN)
def test_the_fast_begins_on_its_first_day_or_the_day_before(year: int) -> None:
    known = FIRST_OF_RAMADAN[year]
    assert of_year(year)["ramadan"].first in (known, known - timedelta(days=1))


def test_a_feast_that_shares_its_day_is_found() -> None:
    assert "Kenaikan" in national_holidays(2021, 2021)[date(2021, 5, 13)]
    assert of_year(2021)["ramadan"].last == date(2021, 5, 12)


def test_two_feasts_in_one_year_are_two_seasons() -> None:
    feasts = [each for each in movable(national_holidays(2033, 2033)) if each.season.kind == "ramadan"]
    assert [(each.first.year, each.last.year) for each in feasts] == [(2032, 2033), (2033, 2033)]


def test_years_without_a_holiday_known_have_no_seasons() -> None:
    assert movable({}) == []
    assert movable({date(2024, 8, 17): "Hari Kemerdekaan Republik Indonesia"}) == []


def occurrence(name: str, first: int, last: int, path: str = "", items: frozenset[int] = frozenset()) -> Occurrence:
    return Occurrence(
        season=Season("other", name),
        name=name,
        first=date(2024, 1, first),
        last=date(2024, 1, last),
        path=path,
        item_ids=items,
    )


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        (occurrence("long", 1, 31), occurrence("later", 5, 31)),
        (occurrence("long", 5, 31), occurrence("short", 5, 9)),
        (occurrence("country", 5, 9), occurrence("bali", 5, 9, "00/51/")),
        (occurrence("bali", 5, 9, "00/51/"), occurrence("denpasar", 5, 9, "00/51/51.71/")),
        (occurrence("all", 5, 9), occurrence("child cards", 5, 9, items=frozenset({3}))),
        (occurrence("early in denpasar", 4, 6, "00/51/51.71/"), occurrence("later", 5, 31)),
    ],
)
def test_of_two_on_a_day_the_later_then_the_narrower_counts(loser: Occurrence, winner: Occurrence) -> None:
    for order in permutations([loser, winner]):
        seasons, painted = numbered(order)
        assert [each.name for _, each in painted] == [loser.name, winner.name]
        assert [seasons[number - 1].name for number, _ in painted] == [loser.name, winner.name]


def test_what_comes_again_is_one_season() -> None:
    twice = movable(national_holidays(2023, 2025))
    seasons, painted = numbered(twice)
    assert {season.kind for season in seasons} == {"ramadan", "lebaran"}
    assert len(seasons) == 2
    assert len(painted) == 6


def test_events_learn_from_their_kind_or_where_that_says_nothing_from_their_name() -> None:
    assert season_of("election", "Pemilu 2024", None) == season_of("election", "Pilkada 2024", None)
    assert season_of("election", "Pemilu 2024", 1.2) != season_of("election", "Pemilu 2024", None)
    assert season_of("other", "  Galungan ", None) == season_of("other", "GALUNGAN", None)
    assert season_of("other", "Galungan", None) != season_of("other", "Pameran", None)


def test_an_event_that_can_be() -> None:
    for factor in (None, 0.1, 1.0, 5.0):
        check_event("school_enrolment", "PPDB 2024", date(2024, 7, 1), date(2024, 7, 1), factor)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "ramadan"}, "event_kind_unknown"),
        ({"name": "  "}, "event_name_missing"),
        ({"last": date(2024, 6, 30)}, "period_backwards"),
        ({"last": date(2025, 7, 2)}, "period_too_long"),
        ({"factor": 0.09}, "event_factor_range"),
        ({"factor": 5.01}, "event_factor_range"),
        ({"factor": float("nan")}, "event_factor_range"),
    ],
)
def test_an_event_that_cannot_be_is_refused(changes: dict[str, object], code: str) -> None:
    said = {
        "kind": "election",
        "name": "Pemilu",
        "first": date(2024, 7, 1),
        "last": date(2024, 7, 31),
        "factor": None,
    }
    with pytest.raises(Invalid, match=code):
        check_event(**(said | changes))  # type: ignore[arg-type]
