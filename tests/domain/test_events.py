"""Seasons: Ramadan and Lebaran against known years, which of two counts on a day, and what teaches what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest

from inventory.domain.errors import Invalid
from inventory.domain.events import Occurrence, Season, check_event, movable, numbered, season_of
from inventory.domain.moon import age
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
DECLARED = {
    2015: (date(2015, 6, 18), date(2015, 7, 17)),
    2016: (date(2016, 6, 6), date(2016, 7, 6)),
    2017: (date(2017, 5, 27), date(2017, 6, 25)),
    2018: (date(2018, 5, 17), date(2018, 6, 15)),
    2019: (date(2019, 5, 6), date(2019, 6, 5)),
    2020: (date(2020, 4, 24), date(2020, 5, 24)),
    2021: (date(2021, 4, 13), date(2021, 5, 13)),
    2022: (date(2022, 4, 3), date(2022, 5, 2)),
    2023: (date(2023, 3, 23), date(2023, 4, 22)),
    2024: (date(2024, 3, 12), date(2024, 4, 10)),
    2025: (date(2025, 3, 1), date(2025, 3, 31)),
    2026: (date(2026, 2, 19), date(2026, 3, 21)),
}
"""The first day of Ramadan and Idul Fitri, as the Ministry of Religious Affairs announced them."""


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


@pytest.mark.parametrize("year", DECLARED)
def test_the_fast_begins_on_the_day_that_was_declared(year: int) -> None:
    ramadan = of_year(year)["ramadan"]
    assert (ramadan.first, ramadan.last + timedelta(days=1)) == DECLARED[year]


def test_the_fast_began_when_it_did_also_if_the_feast_is_a_day_earlier() -> None:
    """For 2026 the feast was expected on the 20th or the 21st of March."""
    for feast in (date(2026, 3, 20), date(2026, 3, 21)):
        [ramadan, _] = movable({feast: "Hari Raya Idul Fitri"})
        assert ramadan.first == DECLARED[2026][0]


@pytest.mark.parametrize("year", range(2027, 2045))
def test_a_fast_to_come_has_29_or_30_days(year: int) -> None:
    for each in movable(national_holidays(year, year)):
        if each.season.kind == "ramadan":
            assert (each.last - each.first).days + 1 in (29, 30)


@pytest.mark.parametrize(
    ("instant", "hours"),
    [
        # New moons by the almanac: 2 Aug 2027 10:05, 17 Feb 2026 12:01, 21 Mar 2023 17:23 (all UTC).
        (datetime(2027, 8, 2, 22, 5, tzinfo=UTC), 12.0),
        (datetime(2026, 2, 17, 12, 1, tzinfo=UTC), 0.0),
        (datetime(2023, 3, 21, 14, 23, tzinfo=UTC), -3.0),
    ],
)
def test_the_moon_is_as_old_as_the_almanac_has_it(instant: datetime, hours: float) -> None:
    assert age(instant) == pytest.approx(hours, abs=0.3)


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
