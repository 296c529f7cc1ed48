"""How early alerts come before stock-outs, and how many are false: the product's own, and those of an average and days
of cover, over the very same stocks of made-up offices whose demand is known.

The stocks follow neither: who orders in these worlds looks at the store with an eye of their own, sooner or later than
is wise, and what is sent comes after a random wait, sometimes less than was asked and sometimes not told before. Of
the outreach most is in the books beforehand, about as it comes, and some is not. So both are judged on the same days.
The nights are the product's: `project()` over all offices, the chance of a stock-out within the learnt lead time as
`services.projections` takes it, and the levels of `domain.alerts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from inventory.bench import Figure
from inventory.bench.projection import worlds
from inventory.bench.projection.worlds import COMING_BACK, FIRST_DAY, World
from inventory.domain.alert_figures import (
    Foretold,
    Record,
    Step,
    Verdict,
    Warned,
    figures,
    foretold,
    verdict,
    warnings_of,
)
from inventory.domain.alerts import Level, Reading, next_level
from inventory.domain.arrivals import Due, counted_on
from inventory.domain.demand import Ahead, History, Horizon, Position, Seasons, project
from inventory.domain.lead_times import Waits, learn
from inventory.domain.requests import hope_ends

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

DAYS, AHEAD = 730, 75
NIGHTS = 180
SETTLING = 45
"""Days before the nights, in which the stocks come to be what the orders make of them."""
UNSEEN = 30
"""Days after the first night whose stock-outs do not count: no alert could have come before the first."""
LEADS, REVIEWS = (5, 10, 14), (5, 10, 20)
"""Open days, drawn alike: a province near, the ministry far; asking every week, fortnight or month."""
SERVICE_LEVEL = 0.95
WAIT_VARIATION = 0.25
"""Of the wait for a delivery around the office's lead time: standard deviation of its logarithm."""
PAST_DELIVERIES = 6
"""From which an office's lead time was learnt before."""
EYE = (0.2, 1.8)
"""When somebody orders: the store lasts for so many times lead time and half a review, between these by chance."""
COVER = (1.0, 4.0)
"""What is asked for: usual days of demand, in lead times and reviews."""
SHORT, LEAST_SENT = 0.25, 0.2
"""Chance that less comes than was asked, and the least share of it."""
TOLD = 0.8
"""Chance that an order is in the books before it comes; the rest is sent unasked, and seen on arrival."""
ALLOTTED = 0.6
"""Chance that an order is allotted, half the wait after asking."""
STARVED = 0.1
"""Offices that never get enough: of what they ask half comes at most."""
PLANNED, PLANNED_DAYS = 0.8, 30
"""Chance that outreach is in the books beforehand, and how many calendar days."""
GUESS_VARIATION = 0.3
"""Of what is expected of a planned outreach: standard deviation of its logarithm."""
SAFETY_DAYS = 4
"""Of the days of cover: on the tuning seeds what warned most often in time with at most 15 % false."""
MONTHS = 63
"""Open days of the average: three months of 21."""


@dataclass(frozen=True, eq=False)
class Offices:
    """S offices as they are set: open days of lead and review, what each learnt of its wait."""

    lead: Counts
    review: Counts
    horizon: Horizon


@dataclass(eq=False)
class Stocks:
    """(S,T) what the books show of the stocks, one column a calendar day, at the close: see worlds.World and
    alert_figures.Record. `inbound`: what the product counts as on order. `planned` (S,D): what was expected of the
    outreach that was planned for the day. `due` by column: what each office counts on then."""

    printed: Counts
    served: Counts
    stocked_out: Flags
    closing: Counts
    inbound: Counts
    arrived: Counts
    planned: Counts
    due: dict[int, list[list[Due]]]


@dataclass
class _Order:
    sent: int
    asked: int
    arrives: int
    allotted: int | None
    hope_ends: int
    told: bool
    expected: int

    def counts(self, day: int) -> int:
        """What of it the product counts as inbound at the close of `day`."""
        if not self.told:
            return 0
        if self.allotted is not None and day >= self.allotted:
            return self.sent
        return self.asked if day <= self.hope_ends else 0

    def due(self, day: int, lead: int) -> Due:
        """When it is counted on, as seen at the close of `day`, as the product does it."""
        at = counted_on(_date(self.expected), _date(day), lead)
        return Due(on_day=at, quantity=0 if at is None else self.counts(day))


def _date(column: int) -> date:
    return FIRST_DAY + timedelta(days=column)


@dataclass
class _Asking:
    """Who orders at one office: the trigger in usual days, and what is on its way."""

    trigger: float
    orders: list[_Order] = field(default_factory=list)


def offices_of(seed: int, series: int, *, learnt: bool = False) -> Offices:
    """Offices with lead times and reviews by chance, and with what each learnt from its past deliveries, if it did;
    without, its lead time as it is set is all that it knows."""
    chance = np.random.default_rng((seed, 1))
    lead, review = chance.choice(LEADS, series), chance.choice(REVIEWS, series)
    past = _waits(chance, np.repeat(lead[:, None], PAST_DELIVERIES, axis=1)) if learnt else lead[:, None][:, :0]
    waits = [Waits(setting=int(days), taken=tuple(map(int, taken))) for days, taken in zip(lead, past, strict=True)]
    return Offices(lead, review, Horizon(lead, review, learn(waits).weights if learnt else None))


def _waits(chance: np.random.Generator, lead: Counts) -> Counts:
    return np.maximum(1, np.round(lead * chance.lognormal(0.0, WAIT_VARIATION, lead.shape))).astype(np.int64)


def stocks_of(seed: int, world: World, offices: Offices, begin: int) -> Stocks:
    """The stocks from the day `begin` on; before it the books are the world's own."""
    chance = np.random.default_rng((seed, 2))
    series, days = world.requests.shape[0], world.days
    past = slice(0, begin)
    usual = world.requests[:, past].sum(axis=1) / np.maximum(world.open[:, past].sum(axis=1), 1)
    cycle = offices.lead + offices.review
    starved = chance.random(series) < STARVED
    opened = np.cumsum(world.open, axis=1)
    found = _empty_books(world, begin)
    store = np.round(usual * cycle * chance.uniform(0.5, 3.0, series)).astype(np.int64)
    waiting = np.zeros(series, dtype=np.int64)
    askings = [_Asking(_trigger(chance, offices, row)) for row in range(series)]
    for day in range(begin, days):
        for row, asking in enumerate(askings):
            came = [each for each in asking.orders if each.arrives == day]
            store[row] += sum(each.sent for each in came)
            found.arrived[row, day] = sum(each.sent for each in came)
            asking.orders = [each for each in asking.orders if each.arrives > day]
        _serve(chance, world, found, store, waiting, day)
        for row in np.flatnonzero(world.open[:, day]).tolist():
            asking = askings[row]
            on_way = sum(each.sent for each in asking.orders)
            if store[row] + on_way <= asking.trigger * usual[row]:
                asking.orders.append(_order(chance, offices, opened[row], row, day, usual[row], starved[row]))
                asking.trigger = _trigger(chance, offices, row)
        found.closing[:, day] = store
        found.inbound[:, day] = [sum(each.counts(day) for each in asking.orders) for asking in askings]
        found.due[day] = [
            [each.due(day, int(lead)) for each in asking.orders]
            for asking, lead in zip(askings, offices.lead, strict=True)
        ]
    return found


def _empty_books(world: World, begin: int) -> Stocks:
    def until(values: NDArray) -> NDArray:
        kept = values[:, : world.days].copy()
        kept[:, begin:] = 0
        return kept

    shape = world.requests.shape[0], world.days
    return Stocks(
        printed=until(world.printed),
        served=until(world.served_waiting),
        stocked_out=until(world.stocked_out),
        closing=np.zeros(shape, dtype=np.int64),
        inbound=np.zeros(shape, dtype=np.int64),
        arrived=np.zeros(shape, dtype=np.int64),
        planned=np.zeros(world.outreach.shape, dtype=np.int64),
        due={},
    )


def plans_of(seed: int, world: World, share: float) -> Counts:
    """(S,D) prints expected of the outreach that was planned, which is that share of it; 0 on all other days."""
    chance = np.random.default_rng((seed, 3))
    entered = chance.random(world.outreach.shape) < share
    guess = world.outreach * chance.lognormal(0.0, GUESS_VARIATION, world.outreach.shape)
    return np.where(entered & (world.outreach > 0), np.maximum(np.round(guess), 1), 0).astype(np.int64)


def _serve(chance: np.random.Generator, world: World, found: Stocks, store: Counts, waiting: Counts, day: int) -> None:
    """A day's requests and those who come back are served as far as the store goes, in place."""
    opened_with = store.copy()
    wanted = np.where(world.open[:, day], world.requests[:, day], 0)
    new = np.minimum(wanted, store)
    back = np.where(world.open[:, day], np.minimum(chance.binomial(waiting, 0.4), store - new), 0)
    store -= new + back
    waiting += chance.binomial(wanted - new, COMING_BACK) - back
    found.printed[:, day], found.served[:, day] = new + back, back
    found.stocked_out[:, day] = (opened_with <= 0) | (store <= 0)


def _trigger(chance: np.random.Generator, offices: Offices, row: int) -> float:
    return float(chance.uniform(*EYE) * (offices.lead[row] + offices.review[row] / 2))


def _order(
    chance: np.random.Generator, offices: Offices, opened: Counts, row: int, day: int, usual: float, starved: bool
) -> _Order:
    asked = max(1, round(usual * chance.uniform(*COVER) * (offices.lead[row] + offices.review[row])))
    share = chance.uniform(LEAST_SENT, 1.0) if chance.random() < SHORT else 1.0
    if starved:
        share = min(share, 0.5)
    wait = int(_waits(chance, offices.lead[row : row + 1])[0])
    at = int(np.searchsorted(opened, opened[day] + wait))
    lead, asked_on = int(offices.lead[row]), FIRST_DAY + timedelta(days=day)
    return _Order(
        sent=max(1, round(asked * share)),
        asked=asked,
        arrives=at,
        allotted=day + math.ceil((at - day) / 2) if chance.random() < ALLOTTED else None,
        hope_ends=day + (hope_ends(asked_on, None, lead) - asked_on).days,
        told=chance.random() < TOLD,
        expected=int(np.searchsorted(opened, opened[day] + offices.lead[row])),
    )


# --- the nights --------------------------------------------------------------------------------------------------

Levels = Callable[[Level, int], Level]
"""The level of the office in that row after its last one."""


@dataclass(frozen=True, eq=False)
class Night:
    """What is known at the close of the column `day`."""

    world: World
    stocks: Stocks
    offices: Offices
    day: int

    @property
    def store(self) -> Counts:
        return self.stocks.closing[:, self.day]

    @property
    def inbound(self) -> Counts:
        return self.stocks.inbound[:, self.day]

    def history(self) -> History:
        past = slice(0, self.day + 1)
        opened = self.world.open[:, past]
        return History(
            first_day=FIRST_DAY,
            demand=self.stocks.printed[:, past],
            served_waiting=self.stocks.served[:, past],
            open=opened,
            known=np.ones_like(opened),
            stocked_out=self.stocks.stocked_out[:, past] & opened,
            announced=self.stocks.planned[:, past] > 0,
        )

    def planned(self) -> Counts:
        """(S,AHEAD) prints of planned outreach by the days to come."""
        found = self.stocks.planned[:, self.day + 1 : self.day + 1 + AHEAD].copy()
        found[:, PLANNED_DAYS:] = 0
        return found


def readings_of(night: Night, service_level: float) -> list[Reading]:
    """What the nightly review measures of each office."""
    from inventory.services.projection_inputs import due_ahead
    from inventory.services.projections import stockout_in_lead

    world, day = night.world, night.day
    ahead = slice(day + 1, day + 1 + AHEAD)
    labels = np.broadcast_to(world.season, world.requests.shape)
    none = np.zeros_like(night.store)
    made = project(
        night.history(),
        Ahead(open=world.open[:, ahead], extra=night.planned().astype(np.float64)),
        night.offices.horizon,
        Position(
            store=night.store,
            inbound=night.inbound,
            backlog=none,
            pack_size=none + 1,
            service_level=np.full(none.shape, service_level),
            due=due_ahead(night.stocks.due[day], _date(day), AHEAD),
        ),
        seasons=Seasons(labels[:, : day + 1], labels[:, ahead], np.full(2, np.nan)),
    )
    in_lead = stockout_in_lead(night.offices.horizon, made)
    return [
        Reading(
            store=int(store),
            usable=int(store),
            inbound=int(inbound),
            known=not math.isnan(level),
            reorder_point=float(point),
            order_up_to=float(up_to),
            stockout_in_lead=round(float(chance), 4),
        )
        for store, inbound, level, point, up_to, chance in zip(
            night.store, night.inbound, made.level, made.reorder_point, made.order_up_to, in_lead, strict=True
        )
    ]


def of_product(nights: Sequence[Night], service_level: float = SERVICE_LEVEL) -> Iterator[tuple[int, list[Reading]]]:
    """The readings of each night, after its day."""
    for night in nights:
        yield night.day, readings_of(night, service_level)


def of_average(nights: Sequence[Night]) -> Iterator[tuple[int, list[Reading]]]:
    """What an office sees that goes by average use and days of cover: `stockout_in_lead` stays 0, `order_up_to` is the
    reorder point, and this is the average use over the lead time and SAFETY_DAYS more.

    It is spared what such an office usually gets wrong: days without stock are left out of the average, cards for
    people who had waited as well, what is on order is counted, and so is planned outreach on top.
    """
    for night in nights:
        history = night.history()
        usable = history.open & ~history.stocked_out & (night.stocks.planned[:, : night.day + 1] == 0)
        recent = usable & (np.cumsum(usable[:, ::-1], axis=1)[:, ::-1] <= MONTHS)
        new = (history.demand - history.served_waiting) * recent
        cover = night.offices.lead + SAFETY_DAYS
        within = np.cumsum(night.world.open[:, night.day + 1 :], axis=1)[:, :AHEAD] <= cover[:, None]
        points = new.sum(axis=1) / np.maximum(recent.sum(axis=1), 1) * cover + (night.planned() * within).sum(axis=1)
        yield (
            night.day,
            [
                Reading(
                    store=int(store),
                    usable=int(store),
                    inbound=int(inbound),
                    known=True,
                    reorder_point=float(point),
                    order_up_to=float(point),
                    stockout_in_lead=0.0,
                )
                for store, inbound, point in zip(night.store, night.inbound, points, strict=True)
            ],
        )


# --- judging -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Simulated:
    """A world, its offices and stocks, and the nights on which they are looked at, the first one counted from 0."""

    world: World
    offices: Offices
    stocks: Stocks
    nights: list[Night]

    @property
    def first(self) -> int:
        """The record begins with the day before the first night, as alerts that night open on the day after."""
        return self.nights[0].day

    def record(self, row: int) -> Record:
        """The office's days with its true demand: none is censored."""
        days = slice(self.first, self.world.days)
        return Record(
            open=self.world.open[row, days].tolist(),
            closing=self.stocks.closing[row, days].tolist(),
            arrived=self.stocks.arrived[row, days].tolist(),
            demand=self.world.requests[row, days].tolist(),
            censored=[False] * (self.world.days - self.first),
        )


def simulate(
    seed: int, series: int, nights: int = NIGHTS, *, learnt: bool = False, planned: float = PLANNED
) -> Simulated:
    """A world whose stocks are the same whether or not its offices learnt their lead times."""
    world, offices = worlds.make(seed, series, DAYS, AHEAD), offices_of(seed, series, learnt=learnt)
    first = world.days - nights
    stocks = stocks_of(seed, world, offices, first - SETTLING)
    stocks.planned = plans_of(seed, world, planned)
    days = [day for day in range(first, world.days) if day == first or world.open[:, day].any()]
    return Simulated(world, offices, stocks, [Night(world, stocks, offices, day) for day in days])


@dataclass
class Tally:
    """What came of all worlds: stock-outs by one way of counting and the other, warnings by both."""

    outs: list[Foretold] = field(default_factory=list)
    unbroken: list[Foretold] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    in_lead: list[Verdict] = field(default_factory=list)
    ordering: list[Verdict] = field(default_factory=list)
    """Of the warnings with less than the reorder point in store and on order."""

    def add(self, simulated: Simulated, seen: Iterable[tuple[int, list[Reading]]]) -> None:
        """What came of one world's nights, each with its readings."""
        steps: list[list[Step]] = [[] for _ in simulated.offices.lead]
        levels = [Level.OK] * len(steps)
        short: dict[tuple[int, int], bool] = {}
        for day, readings in seen:
            for row, reading in enumerate(readings):
                level = next_level(levels[row], reading)
                if level is not levels[row]:
                    step = _step(simulated, row, day, level, reading)
                    steps[row].append(step)
                    short[row, step.day] = reading.usable + reading.inbound < reading.reorder_point
                levels[row] = level
        for row, some in enumerate(steps):
            self._judge(simulated, row, warnings_of(some), short)

    def _judge(
        self, simulated: Simulated, row: int, warnings: list[Warned], short: dict[tuple[int, int], bool]
    ) -> None:
        record, lead = simulated.record(row), int(simulated.offices.lead[row])

        def counted(found: list[Foretold]) -> list[Foretold]:
            return [each for each in found if each.stock_out.first >= UNSEEN]

        self.outs += counted(foretold(record, warnings, lead))
        self.unbroken += counted(foretold(record, warnings, lead, unbroken=True))
        # What is low on the first night may have been so for long.
        for each in (each for each in warnings if each.step.day > 1):
            self.verdicts.append(verdict(record, each))
            self.in_lead.append(verdict(record, each, review=False))
            if short[row, each.step.day]:
                self.ordering.append(self.verdicts[-1])


def _step(simulated: Simulated, row: int, day: int, level: Level, reading: Reading) -> Step:
    return Step(
        day=day + 1 - simulated.first,
        level=level,
        known=reading.known,
        store=reading.store,
        usable=reading.usable,
        inbound=reading.inbound,
        lead_days=int(simulated.offices.lead[row]),
        review_days=int(simulated.offices.review[row]),
    )


def measure(*, quick: bool) -> list[Figure]:
    """The figures; `quick` on fewer and smaller worlds, in about a minute."""
    seeds = worlds.REPORTING_SEEDS[:4] if quick else worlds.REPORTING_SEEDS
    series, nights = (60, 120) if quick else (200, NIGHTS)
    own, average, learning, unplanned = Tally(), Tally(), Tally(), Tally()
    for seed in seeds:
        simulated = simulate(seed, series, nights)
        own.add(simulated, of_product(simulated.nights))
        average.add(simulated, of_average(simulated.nights))
    for seed in seeds[:1]:
        simulated = simulate(seed, series, nights, learnt=True)
        learning.add(simulated, of_product(simulated.nights))
        simulated = simulate(seed, series, nights, planned=0.0)
        unplanned.add(simulated, of_product(simulated.nights))
    return [
        *_figures("", own, must=True),
        *_figures("average and days of cover: ", average, must=False),
        *_figures("lead times learnt, first world: ", learning, must=False),
        *_figures("no outreach planned, first world: ", unplanned, must=False),
    ]


def _figures(name: str, tally: Tally, *, must: bool) -> Iterator[Figure]:
    def figure(said: str, value: float | None, *limits: float, at_most: bool = False) -> Figure:
        wanted = limits if must else ()
        return Figure(f"{name}{said}", round(value or 0.0, 4), *wanted, at_most=at_most)

    whole = figures(tally.outs, tally.verdicts)
    yield figure("stock-outs warned of at least the lead time before", whole.in_time_share, 0.95, 0.97)
    yield figure("false warnings", whole.false_share, 0.15, 0.10, at_most=True)
    yield figure("stock-outs without a warning", whole.missed_share, at_most=True)
    yield figure("median lead, working days", whole.median_lead)
    unbroken = figures(tally.unbroken, ())
    yield figure("the same, warnings still open as the store ran empty", unbroken.in_time_share)
    short = figures((), tally.ordering)
    yield figure("false, of warnings with too little in store and on order", short.false_share, at_most=True)
    strict = figures((), tally.in_lead)
    yield figure("false, if the lead time alone counted", strict.false_share, at_most=True)
    yield figure("stock-outs", float(whole.stock_outs))
    yield figure("warnings that are decided", float(whole.needed + whole.false))
