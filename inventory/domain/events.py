"""Seasons and events that move demand: Ramadan and Lebaran with the moon, elections and school enrolment as entered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from inventory.domain.errors import Invalid
from inventory.domain.moon import crescent_expected

KINDS = ("election", "school_enrolment", "other")
"""What can be entered. Those of one kind teach each other's factor, apart from `other`, where the name says what is
alike."""
MOVABLE = ("ramadan", "lebaran")
PUBLIC = ("election", "school_enrolment")
"""Whose days are decreed and published long before; what they do to demand is not."""

NAME_LENGTH = 120
LONGEST_EVENT = 366
LEAST_FACTOR, MOST_FACTOR = 0.1, 5.0

FEAST = "Hari Raya Idul Fitri"
"""What the calendar of holidays calls the first day of the feast; its other days and their leave have it in them."""
FEAST_NAME = "Idul Fitri"
LONGEST_LEAVE = timedelta(days=14)
LONGEST_RAMADAN, SHORTEST_RAMADAN = timedelta(days=30), timedelta(days=29)
LEBARAN_DAYS = timedelta(days=14)


@dataclass(frozen=True)
class Season:
    """What days may have in common: the factor on usual demand is `factor`, or to be learnt from history (None)."""

    kind: str
    name: str
    factor: float | None = None


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One time that a season comes. `last` is its last day; `item_ids` empty for every item; `path` is that of the
    office in whose subtree it counts, empty for the country. `said_on` is the day on which it was last said what it
    is, None for what the calendar brings."""

    season: Season
    name: str
    first: date
    last: date
    path: str = ""
    item_ids: frozenset[int] = frozenset()
    said_on: date | None = None

    @property
    def rank(self) -> tuple[date, int, int, int, str]:
        """Where two overlap on a day, the one of higher rank counts there: the later to begin, else the shorter,
        else the one of the smaller subtree, else the one of fewer items; the name only makes it certain."""
        return self.first, -(self.last - self.first).days, len(self.path), bool(self.item_ids), self.name


def check_event(kind: str, name: str, first: date, last: date, factor: float | None) -> None:
    """Raises Invalid `event_kind_unknown`, `event_name_missing`, `period_backwards`, `period_too_long`,
    `event_factor_range`."""
    if kind not in KINDS:
        raise Invalid("event_kind_unknown")
    if not name.strip():
        raise Invalid("event_name_missing")
    if last < first:
        raise Invalid("period_backwards")
    if (last - first).days >= LONGEST_EVENT:
        raise Invalid("period_too_long", limit=LONGEST_EVENT)
    if factor is not None and not LEAST_FACTOR <= factor <= MOST_FACTOR:
        raise Invalid("event_factor_range")


def season_of(kind: str, name: str, factor: float | None) -> Season:
    """What an event teaches, and learns from: all of its kind, or of its name where the kind says nothing."""
    return Season(kind, " ".join(name.split()).casefold() if kind == "other" else "", factor)


def known_on(day: date, occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """What could be known of these at the close of a day: what the calendar brings, and what was said by then.

    Days of a PUBLIC kind were known all the same, only without a factor; the rest, said later, may have been said
    because of what was seen on its days.
    """
    found: list[Occurrence] = []
    for each in occurrences:
        if each.said_on is None or each.said_on <= day:
            found.append(each)
        elif each.season.kind in PUBLIC:
            found.append(replace(each, season=replace(each.season, factor=None)))
    return found


def movable(holidays: Mapping[date, str]) -> list[Occurrence]:
    """Ramadan and Lebaran, from holidays with their Indonesian names, in order.

    Ramadan has 29 or 30 days, and only the feast that ends it is a holiday: it is taken to begin 30 days before where
    the moon's first crescent was to be expected on the evening before that, else 29. Lebaran is the two weeks after
    the feast's collective leave, when offices are open again.
    """
    found: list[Occurrence] = []
    for feast in _feasts(holidays):
        back = _last_of_leave(holidays, feast) + timedelta(days=1)
        year = str(feast.year)
        for kind, first, last in (
            ("ramadan", _first_of_ramadan(feast), feast - timedelta(days=1)),
            ("lebaran", back, back + LEBARAN_DAYS - timedelta(days=1)),
        ):
            found.append(Occurrence(season=Season(kind, ""), name=year, first=first, last=last))
    return found


def _feasts(holidays: Mapping[date, str]) -> list[date]:
    return sorted(
        day for day, names in holidays.items() if any(name.strip().startswith(FEAST) for name in names.split(";"))
    )


def _first_of_ramadan(feast: date) -> date:
    first = feast - LONGEST_RAMADAN
    return first if crescent_expected(first - timedelta(days=1)) else feast - SHORTEST_RAMADAN


def _last_of_leave(holidays: Mapping[date, str], feast: date) -> date:
    """The last day that belongs to a feast: its second day, or the last of its collective leave."""
    return max(day for day, name in holidays.items() if FEAST_NAME in name and feast <= day <= feast + LONGEST_LEAVE)


def numbered(occurrences: Iterable[Occurrence]) -> tuple[tuple[Season, ...], list[tuple[int, Occurrence]]]:
    """The different seasons, and each occurrence with its season's number (from 1), lowest rank first: painted in
    this order on days, the one that counts comes last."""
    ordered = sorted(occurrences, key=lambda each: each.rank)
    seasons = tuple(dict.fromkeys(each.season for each in ordered))
    numbers = {season: number for number, season in enumerate(seasons, start=1)}
    return seasons, [(numbers[each.season], each) for each in ordered]
