"""Made-up histories for a demonstration: what an office received, printed and spoiled, day by day.

Nothing here happened. A history is drawn from a seed so that it looks like an office's own: irregular and rationed
deliveries, weekdays, Ramadan and Lebaran, holidays, outreach on Saturdays, and days on which the store was empty. It
ends at exactly the stock that its profile asks for, without a movement that would only be there to make it fit:

1. Draw what is asked for each day, and plan the shortages (`_plan`, `_uses`).
2. The empty days cut the history into stretches. What a stretch uses up, and what it leaves, fixes how much must have
   arrived in it: the deliveries, in whole packs (`_allot`). The opening stock takes the remainder of the first
   stretch; in a later one, which starts with an empty store, a few cards more or less on some days do (`_shift`).
3. Walk each stretch backwards and put a delivery where the store would have been low without it (`_place`). The store
   is then never negative, and the law of the ledger holds by construction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from inventory.domain.calendars import OfficeCalendar

SATURDAY = 5

FASTS = (
    (date(2021, 4, 13), date(2021, 5, 13)),
    (date(2022, 4, 3), date(2022, 5, 2)),
    (date(2023, 3, 23), date(2023, 4, 22)),
    (date(2024, 3, 12), date(2024, 4, 10)),
    (date(2025, 3, 1), date(2025, 3, 31)),
    (date(2026, 2, 19), date(2026, 3, 21)),
    (date(2027, 2, 8), date(2027, 3, 10)),
)
"""The first day of Ramadan and of Lebaran, by the ministry of religion's calendar; 2027 is a forecast."""

ELECTIONS = (date(2024, 2, 14), date(2024, 11, 27))
"""National and regional elections: voters who have just turned 17 need a card."""

AFTER_LEBARAN = timedelta(days=28)
BEFORE_ELECTION = timedelta(days=60)
RATIONED_DAYS = 6
"""Open days before a shortage on which the office prints less to make its stock last (Lubuklinggau 2022: 80 to 50)."""
RATIONED_TO = 0.62
STILL_WAITING = 0.9
"""Of those whom a shortage sent away, how many come back."""
TIME_TO_RECOVER = timedelta(days=10)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What an office's history of one item is like. Amounts are in the item's units (cards, rolls).

    per_day: mean requests an open day in the middle of the history. ends_with: the store after the last day.
    reasons: print reasons and their shares. weekdays: weights, Monday first. growth: factor a year. noise: the
    requests of a day vary by mean + noise·mean². ramadan, after_lebaran: factors. spoil_rate: spoiled units a print;
    encoding_share of them failed to encode, the others are misprints. defective_rate: of what arrives.
    pack: deliveries are multiples of it. asks: what the office asks for. gets: what it gets instead, each size as
    likely as it is often listed. grant_share: deliveries that the region paid for. shortages: where in the history
    (0 to 1) the store runs empty, and for how many open days. outreach_a_year: Saturdays. capacity: most prints a
    day, in per_day. low_days: from how many to how many days of stock were left when a delivery came. opening_days:
    about how many days of stock there were at the start. quiet_days: no delivery on the last so many days.
    """

    per_day: float
    ends_with: int
    reasons: Mapping[str, float] = field(
        default_factory=lambda: {"new": 38, "lost": 17, "damaged": 22, "changed_data": 16, "moved_in": 7}
    )
    weekdays: tuple[float, ...] = (1.13, 1.03, 1.0, 0.96, 0.88, 0.7, 0.7)
    growth: float = 1.03
    noise: float = 0.02
    ramadan: float = 0.93
    after_lebaran: float = 1.12
    spoil_rate: float = 0.016
    encoding_share: float = 0.3
    defective_rate: float = 0.002
    pack: int = 500
    asks: int = 10_000
    gets: tuple[int, ...] = (500, 1000, 1000, 2000, 2000, 2000, 3000, 4000)
    grant_share: float = 0.07
    shortages: tuple[tuple[float, int], ...] = ()
    outreach_a_year: float = 9
    capacity: float = 1.9
    low_days: tuple[float, float] = (0.5, 8)
    opening_days: float = 15
    quiet_days: int = 3


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A delivery. `received` counts all units, the `defective` ones included; `serial` counts a year's deliveries."""

    received: int
    defective: int
    asked: int
    granted: bool
    record_on: date
    serial: int

    @property
    def good(self) -> int:
        return self.received - self.defective


@dataclass(frozen=True, kw_only=True)
class DayEntry:
    """One day: first what was there or came in, then what was used. `store` is what the day closed with.

    `printed` and `served_waiting` are by reason, `spoiled` by cause; none holds a zero.
    """

    day: date
    outreach: bool
    opening: int
    arrivals: tuple[Arrival, ...]
    printed: Mapping[str, int]
    served_waiting: Mapping[str, int]
    spoiled: Mapping[str, int]
    store: int


@dataclass
class _Use:
    """What one day uses up: prints for requests of the day, prints for those that had waited, and spoiled ones."""

    day: date
    outreach: bool
    dry: bool
    fresh: int = 0
    served: int = 0
    spoiled: int = 0

    @property
    def total(self) -> int:
        return self.fresh + self.served + self.spoiled


@dataclass(frozen=True)
class _Load:
    """A delivery that has no day yet."""

    received: int
    defective: int

    @property
    def good(self) -> int:
        return self.received - self.defective


@dataclass(frozen=True)
class _Plan:
    """The days on which the store is empty, and those before them on which the office prints less."""

    dry: frozenset[date]
    rationed: frozenset[date]

    def is_strained(self, day: date) -> bool:
        """Whether the office has other worries than outreach: just before, in or just after a shortage."""
        return any(short - TIME_TO_RECOVER <= day <= short + TIME_TO_RECOVER for short in self.dry)


def make_history(
    profile: Profile, calendar: OfficeCalendar, first: date, last: date, seed: int | str
) -> list[DayEntry]:
    """The history of one office and item on its open days from `first` to `last`, and on some Saturdays.

    The same arguments give the same history. Raises ValueError when no day is open.
    """
    rng = Random(seed)  # noqa: S311  (a demonstration must be repeatable, and hides nothing)
    opened = calendar.open_days(first, last)
    if not opened:
        raise ValueError(f"no open day from {first.isoformat()} to {last.isoformat()}")
    plan = _plan(rng, profile, opened)
    uses = _uses(rng, profile, plan, _days(rng, profile, calendar, opened, plan))
    opening, arriving = _supply(rng, profile, uses)
    return _entries(rng, profile, uses, opening, arriving)


# --- what is asked for -------------------------------------------------------------------------------------------


def season(profile: Profile, day: date) -> float:
    """The factor of a day's place in the year: Ramadan, after Lebaran, before an election, the school holidays."""
    factor = 1.0
    for fast, lebaran in FASTS:
        if fast <= day < lebaran:
            factor *= profile.ramadan
        elif lebaran <= day <= lebaran + AFTER_LEBARAN:
            factor *= profile.after_lebaran
    if any(election - BEFORE_ELECTION <= day < election for election in ELECTIONS):
        factor *= 1.12
    if date(day.year, 6, 15) <= day <= date(day.year, 7, 20):
        factor *= 1.05
    return factor


def _plan(rng: Random, profile: Profile, opened: Sequence[date]) -> _Plan:
    """Which open days are dry, about where the profile wants them; never the first days, nor the last ones."""
    dry: set[date] = set()
    rationed: set[date] = set()
    for place, length in profile.shortages:
        at = round(len(opened) * (place + rng.uniform(-0.03, 0.03)))
        start = min(max(at, 2 * RATIONED_DAYS), len(opened) - length - 2 * RATIONED_DAYS)
        if start < 2 * RATIONED_DAYS:
            continue  # too short a history to hold this shortage
        rationed.update(opened[start - RATIONED_DAYS : start])
        dry.update(opened[start : start + length])
    return _Plan(frozenset(dry), frozenset(rationed - dry))


def _days(
    rng: Random, profile: Profile, calendar: OfficeCalendar, opened: Sequence[date], plan: _Plan
) -> list[tuple[date, bool]]:
    """The open days and the Saturdays of outreach, in order: (day, whether it is outreach)."""
    days = [(day, False) for day in opened]
    usual = set(opened)
    first_saturday = opened[0] + timedelta(days=(SATURDAY - opened[0].weekday()) % 7)
    for weeks in range((opened[-1] - first_saturday).days // 7 + 1):
        day = first_saturday + timedelta(weeks=weeks)
        goes_out = rng.random() < profile.outreach_a_year / 52
        free = day not in usual and day not in calendar.holidays and day not in calendar.closed
        if goes_out and free and not plan.is_strained(day):
            days.append((day, True))
    return sorted(days)


def _uses(rng: Random, profile: Profile, plan: _Plan, days: Sequence[tuple[date, bool]]) -> list[_Use]:
    """What each day uses up. Requests that find no blank wait, and are served when there are blanks again."""
    middle = days[len(days) // 2][0]
    uses: list[_Use] = []
    waiting = 0
    before: date | None = None
    for day, outreach in days:
        asked = _requests(rng, profile, day, outreach, before, middle)
        use = _Use(day, outreach, dry=day in plan.dry)
        if not use.dry:
            # Printers and people are not equally good every day.
            capacity = round(profile.capacity * profile.per_day * rng.uniform(0.8, 1)) + 1
            use.fresh = round(RATIONED_TO * asked) if day in plan.rationed else min(asked, capacity)
            if not outreach and day not in plan.rationed:
                use.served = min(waiting, max(0, capacity - use.fresh))
            use.spoiled = min(use.fresh, _poisson(rng, (use.fresh + use.served) * profile.spoil_rate))
        waiting += round(STILL_WAITING * (asked - use.fresh)) - use.served
        uses.append(use)
        before = before if outreach else day
    return uses


def _requests(rng: Random, profile: Profile, day: date, outreach: bool, before: date | None, middle: date) -> int:
    """How many ask for a card on a day; a negative binomial around what the day's place in time says."""
    years = (day - middle).days / 365.25
    mean = profile.per_day * profile.growth**years * season(profile, day)
    mean *= rng.uniform(0.3, 0.9) if outreach else profile.weekdays[day.weekday()] * _after_closure(before, day)
    if profile.noise:
        mean *= rng.gammavariate(1 / profile.noise, profile.noise)
    return _poisson(rng, mean)


def _after_closure(before: date | None, day: date) -> float:
    """More people come after a closure than after a weekend: a fifth more for each weekday that was lost."""
    if before is None:
        return 1.0
    lost = sum(
        date.fromordinal(number).weekday() < SATURDAY for number in range(before.toordinal() + 1, day.toordinal())
    )
    return 1 + min(0.2 * lost, 0.5)


def _poisson(rng: Random, mean: float) -> int:
    """A Poisson number; from 40 on its normal likeness, which a demonstration cannot tell from it."""
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, product, floor = 0, rng.random(), math.exp(-mean)
    while product > floor:
        product *= rng.random()
        count += 1
    return count


# --- what arrives ------------------------------------------------------------------------------------------------


def _supply(rng: Random, profile: Profile, uses: Sequence[_Use]) -> tuple[int, dict[date, list[_Load]]]:
    """The opening stock, and the deliveries by day, so that the store is never negative, is empty on the dry days,
    and ends with what the profile says. Changes `uses` by a few prints (see `_shift`)."""
    opening = 0
    arriving: dict[date, list[_Load]] = {}
    stretches = _stretches(uses)
    for number, stretch in enumerate(stretches):
        ends_history = number == len(stretches) - 1
        left = profile.ends_with if ends_history else 0
        need = sum(use.total for use in stretch) + left
        if number == 0:
            about = max(profile.pack, round(profile.opening_days * profile.per_day))
            loads, rest = _allot(rng, profile, need - about, at_least=0)
            opening = about + rest
        else:
            loads, rest = _allot(rng, profile, need, at_least=1)
            _shift(rng, stretch, -rest)
        quiet = profile.quiet_days if ends_history else RATIONED_DAYS
        arriving |= _place(rng, profile, stretch, loads, left, quiet)
    return opening, arriving


def _stretches(uses: Iterable[_Use]) -> list[list[_Use]]:
    """The runs of days between shortages."""
    stretches: list[list[_Use]] = [[]]
    for use in uses:
        if not use.dry:
            stretches[-1].append(use)
        elif stretches[-1]:
            stretches.append([])
    return stretches


def _allot(rng: Random, profile: Profile, need: int, at_least: int) -> tuple[list[_Load], int]:
    """Deliveries whose good cards come as near to `need` as whole packs can, and what is still missing (may be
    negative)."""
    loads: list[_Load] = []
    while len(loads) < at_least or need >= profile.pack / 2:
        most = max(profile.pack, round(need / profile.pack) * profile.pack)
        received = min(rng.choice(profile.gets), most)
        bad = rng.random() < 0.4  # most cartons are fine; in the others a few cards are not
        defective = min(received, _poisson(rng, received * profile.defective_rate / 0.4)) if bad else 0
        loads.append(_Load(received, defective))
        need -= received - defective
    return loads, need


def _shift(rng: Random, stretch: Sequence[_Use], change: int) -> None:
    """Draw the stretch again on condition of its total: some days print one card more, or one less, than drawn."""
    step = 1 if change > 0 else -1
    for _ in range(abs(change)):
        weights = [max(0, use.fresh - use.spoiled) for use in stretch]
        if step > 0:
            weights = [weight + 1 for weight in weights]
        rng.choices(stretch, weights)[0].fresh += step


def _place(
    rng: Random, profile: Profile, stretch: Sequence[_Use], loads: Sequence[_Load], left: int, quiet: int
) -> dict[date, list[_Load]]:
    """The days of a stretch's deliveries, the last first: each comes when the store, without it, would have been
    low. What is not placed by then came on the stretch's first day."""
    arriving: dict[date, list[_Load]] = {}
    pending = list(loads)
    store = left
    low = round(rng.uniform(*profile.low_days) * profile.per_day)
    for index in range(len(stretch) - 1, -1, -1):
        use = stretch[index]
        store += use.total
        if index == 0:
            if pending:
                arriving[use.day] = pending
            break
        late = index >= len(stretch) - quiet
        if pending and not late and not use.outreach and store - pending[-1].good >= low:
            load = pending.pop()
            arriving[use.day] = [load]
            store -= load.good
            low = round(rng.uniform(*profile.low_days) * profile.per_day)
    return arriving


# --- putting it together -----------------------------------------------------------------------------------------


def _entries(
    rng: Random, profile: Profile, uses: Sequence[_Use], opening: int, arriving: Mapping[date, list[_Load]]
) -> list[DayEntry]:
    entries: list[DayEntry] = []
    store = 0
    serials: Counter[int] = Counter()
    for use in uses:
        arrivals: list[Arrival] = []
        for load in arriving.get(use.day, []):
            serials[use.day.year] += 1
            arrivals.append(_arrival(rng, profile, use.day, load, serials[use.day.year]))
        there = opening if not entries else 0
        store += there + sum(arrival.good for arrival in arrivals) - use.total
        served = _split(rng, profile, use.served, use.outreach)
        entries.append(
            DayEntry(
                day=use.day,
                outreach=use.outreach,
                opening=there,
                arrivals=tuple(arrivals),
                printed=_split(rng, profile, use.fresh, use.outreach) + served,
                served_waiting=served,
                spoiled=_causes(rng, profile, use.spoiled),
                store=store,
            )
        )
    return entries


def _arrival(rng: Random, profile: Profile, day: date, load: _Load, serial: int) -> Arrival:
    return Arrival(
        received=load.received,
        defective=load.defective,
        asked=max(load.received, profile.asks),
        granted=rng.random() < profile.grant_share,
        record_on=day - timedelta(days=rng.choice((0, 0, 1, 2))),
        serial=serial,
    )


def _split(rng: Random, profile: Profile, count: int, outreach: bool) -> Counter[str]:
    """`count` cards by reason. Outreach goes to schools and villages: mostly first cards."""
    weights = [share * (4 if outreach and reason == "new" else 1) for reason, share in profile.reasons.items()]
    return Counter(rng.choices(list(profile.reasons), weights, k=count))


def _causes(rng: Random, profile: Profile, count: int) -> Counter[str]:
    failed = sum(rng.random() < profile.encoding_share for _ in range(count))
    return +Counter(encoding_failure=failed, misprint=count - failed)
