"""Made-up histories add up, end where they should, and look like an office's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from inventory.domain.calendars import OfficeCalendar
from inventory.domain.demo_history import RATIONED_DAYS, DayEntry, Profile, make_history, season
from inventory.domain.ledger import PRINT_REASONS

FIRST, LAST = date(2022, 5, 16), date(2024, 5, 15)
HOLIDAYS = {date(2023, 8, 17): "Hari Kemerdekaan", date(2024, 5, 1): "Hari Buruh"}
CALENDAR = OfficeCalendar(
    working_week="1111100",
    holidays=HOLIDAYS | {date(2023, 4, day): "Idulfitri" for day in range(19, 26)},
)

CITY = Profile(per_day=330, ends_with=1639, shortages=((0.3, 6), (0.68, 4)), quiet_days=11)
TOWN = Profile(per_day=45, ends_with=8, gets=(500, 500, 1000), shortages=((0.35, 7), (0.75, 3)))
DISTRICT = Profile(per_day=4, ends_with=0, pack=100, gets=(100, 200), asks=500, shortages=((0.5, 9),))
ROLLS = Profile(per_day=0.9, ends_with=21, reasons={"consumed": 1}, noise=0, spoil_rate=0, pack=6, gets=(6, 24))
PROFILES = {"city": CITY, "town": TOWN, "district": DISTRICT, "rolls": ROLLS}

SEEDS = range(5)


def history(profile: Profile, seed: int = 1, first: date = FIRST) -> list[DayEntry]:
    return make_history(profile, CALENDAR, first, LAST, seed)


def prints(entry: DayEntry) -> int:
    return sum(entry.printed.values())


def used(entry: DayEntry) -> int:
    return prints(entry) + sum(entry.spoiled.values())


def arrived(entry: DayEntry) -> int:
    return entry.opening + sum(arrival.good for arrival in entry.arrivals)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PROFILES)
def test_every_unit_is_accounted_for_on_every_day(name: str, seed: int) -> None:
    store = 0
    entries = history(PROFILES[name], seed)
    for entry in entries:
        store += arrived(entry) - used(entry)
        assert entry.store == store >= 0
        assert all(
            count > 0 for part in (entry.printed, entry.served_waiting, entry.spoiled) for count in part.values()
        )
        assert all(count <= entry.printed[reason] for reason, count in entry.served_waiting.items())
    assert entries[-1].store == PROFILES[name].ends_with


@pytest.mark.parametrize("days", [0, 1, 4, 13, 40, 90])
@pytest.mark.parametrize("name", PROFILES)
def test_a_short_history_ends_right_too(name: str, days: int) -> None:
    entries = history(PROFILES[name], first=LAST - timedelta(days=days))
    assert entries[-1].store == PROFILES[name].ends_with
    assert sum(map(arrived, entries)) - sum(map(used, entries)) == PROFILES[name].ends_with
    assert min(entry.store for entry in entries) >= 0


def test_without_an_open_day_there_is_no_history() -> None:
    with pytest.raises(ValueError, match="no open day"):
        make_history(CITY, CALENDAR, date(2024, 5, 11), date(2024, 5, 12), 1)


def test_the_seed_alone_decides() -> None:
    assert history(CITY, 7) == history(CITY, 7)
    assert history(CITY, 7) != history(CITY, 8)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_outreach_prints_on_a_closed_day(seed: int) -> None:
    entries = history(CITY, seed)
    days = [entry.day for entry in entries]
    assert days == sorted(set(days))
    closed = [entry for entry in entries if not CALENDAR.is_open(entry.day)]
    assert closed
    assert all(entry.outreach and entry.day.weekday() == 5 and entry.day not in HOLIDAYS for entry in closed)
    assert not any(entry.arrivals for entry in closed)
    assert not any(entry.outreach for entry in entries if CALENDAR.is_open(entry.day))


def test_a_holiday_has_no_outreach() -> None:
    saturdays = {FIRST + timedelta(days=number) for number in range(731)}
    calendar = OfficeCalendar(working_week="1111100", holidays=dict.fromkeys(saturdays - {LAST, FIRST}, "libur"))
    busy = replace(CITY, outreach_a_year=52, shortages=())
    assert [entry.day for entry in make_history(busy, calendar, FIRST, LAST, 1)] == [FIRST, LAST]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_city_prints_225_to_500_cards_on_an_average_open_day(seed: int) -> None:
    entries = history(CITY, seed)
    opened = [entry for entry in entries if CALENDAR.is_open(entry.day)]
    assert 225 <= sum(map(prints, opened)) / len(opened) <= 500
    assert 225 <= sum(map(prints, opened[-60:])) / 60 <= 500


def dry_runs(entries: Sequence[DayEntry]) -> list[tuple[int, int]]:
    """(first, one past the last) of the runs of days without a print, as indexes."""
    runs: list[tuple[int, int]] = []
    for index, entry in enumerate(entries):
        if entry.printed:
            continue
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shortage_empties_the_store_and_is_made_up_for(seed: int) -> None:
    entries = history(CITY, seed)
    runs = dry_runs(entries)
    assert [end - start for start, end in runs] == [6, 4]
    for start, end in runs:
        assert all(entry.store == 0 for entry in entries[start - 1 : end])
        assert entries[end].arrivals
        assert all(entry.served_waiting for entry in entries[end : end + 3])
        rationed = sum(map(prints, entries[start - RATIONED_DAYS : start])) / RATIONED_DAYS
        assert rationed < 0.85 * CITY.per_day


@pytest.mark.parametrize("seed", SEEDS)
def test_deliveries_are_rationed_and_irregular(seed: int) -> None:
    entries = history(CITY, seed)
    arrivals = [arrival for entry in entries for arrival in entry.arrivals]
    assert all(arrival.received % CITY.pack == 0 for arrival in arrivals)
    assert all(arrival.asked >= arrival.received for arrival in arrivals)
    assert len({arrival.received for arrival in arrivals}) >= 4
    days = [entry.day for entry in entries if entry.arrivals]
    gaps = {(later - earlier).days for earlier, later in pairwise(days)}
    assert len(gaps) >= 6
    assert any(arrival.granted for arrival in arrivals)
    assert all(arrival.record_on <= entry.day for entry in entries for arrival in entry.arrivals)
    numbers = [(entry.day.year, arrival.serial) for entry in entries for arrival in entry.arrivals]
    assert len(set(numbers)) == len(numbers)
    assert LAST - days[-1] >= timedelta(days=14)


@pytest.mark.parametrize("seed", SEEDS)
def test_spoilage_is_what_offices_have_observed(seed: int) -> None:
    entries = history(CITY, seed)
    received = sum(arrival.received for entry in entries for arrival in entry.arrivals)
    defective = sum(arrival.defective for entry in entries for arrival in entry.arrivals)
    causes = {
        cause: sum(entry.spoiled.get(cause, 0) for entry in entries) for cause in ("misprint", "encoding_failure")
    }
    assert all(causes.values())
    assert 0.009 <= (defective + sum(causes.values())) / received <= 0.047


def test_reasons_have_the_profiles_shares() -> None:
    shares = {"new": 12, "lost": 8, "damaged": 70, "changed_data": 8, "moved_in": 2}
    entries = history(replace(CITY, reasons=shares, outreach_a_year=0))
    total = sum(map(prints, entries))
    for reason in PRINT_REASONS:
        share = sum(entry.printed.get(reason, 0) for entry in entries) / total
        assert share == pytest.approx(shares[reason] / 100, abs=0.01)


def test_mondays_are_busier_than_fridays_and_a_day_after_a_holiday_than_others() -> None:
    entries = history(replace(CITY, shortages=()))

    def mean(days: list[DayEntry]) -> float:
        return sum(map(prints, days)) / len(days)

    mondays, fridays = ([entry for entry in entries if entry.day.weekday() == day] for day in (0, 4))
    assert mean(mondays) > 1.15 * mean(fridays)
    after = next(entry for entry in entries if entry.day == date(2023, 4, 26))
    wednesdays = [entry for entry in entries if entry.day.weekday() == 2]
    assert prints(after) > 1.2 * mean(wednesdays)


def test_ramadan_is_quiet_and_lebaran_is_followed_by_a_surge() -> None:
    profile = replace(CITY, ramadan=0.7, after_lebaran=1.3)
    assert season(profile, date(2023, 3, 22)) == 1
    assert season(profile, date(2023, 4, 21)) == 0.7
    assert season(profile, date(2023, 4, 22)) == 1.3
    assert season(profile, date(2023, 9, 12)) == 1
    assert season(profile, date(2024, 2, 1)) > 1
