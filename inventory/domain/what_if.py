"""What if: the same stock under other circumstances — more outreach, a late delivery, a cap, another order.

Demand comes as paths: one for each probability, the cumulative demand by calendar day that it reaches with that
probability. A path keeps its place: what starts as a busy month is taken to stay one (the error of a projection is
mostly that of its level, which stays). So a stock is gone by a day in as many cases as paths have passed it by then,
also where deliveries arrive in between.

Blanks arrive at the end of their day, as the lead time of a projection counts it. Of a cap on prints a day the rest
waits for the next: with D the requests and C the prints possible by each day, prints by day h are
C(h) + min(0, min over t <= h of D(t) - C(t)), the reflection of D - C at zero (Harrison, Brownian Motion and
Stochastic Flow Systems, 1985, section 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.errors import Invalid
from inventory.domain.quantities import MAX_QUANTITY

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

PROBABILITIES = tuple(number / 100 for number in range(1, 100))
"""Of the paths that chances are counted on."""
MEDIAN, EARLY, LATE = (PROBABILITIES.index(probability) for probability in (0.5, 0.9, 0.1))
"""Demand that is reached in half of all cases runs the stock out on the likeliest day; high demand early."""
LATEST = 120
"""Working days that a delivery may come later."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Blanks that come at the end of a day ahead, counted from 0."""

    column: int
    quantity: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Stock:
    """A stock and what may come. One column a calendar day ahead.

    paths (P,H): cumulative demand at PROBABILITIES; wanted (H,): the same at the office's service level. open (H,):
    the office works. lead_days, review_days: in open days. inbound counts all that is under way, arrivals what of it
    has a day.
    """

    paths: Numbers
    wanted: Numbers
    open: Flags
    store: int
    backlog: int
    inbound: int
    lead_days: int
    review_days: int
    pack_size: int
    arrivals: tuple[Arrival, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is tried out. `outreach` prints on top on day `outreach_column`; all that is under way and the order come
    `late_days` working days later, or what is under way never (`nothing_comes`); at most `cap` prints a day; `order`
    blanks are asked for today instead of the suggested order.
    """

    outreach: int = 0
    outreach_column: int = 0
    late_days: int = 0
    nothing_comes: bool = False
    cap: int | None = None
    order: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of the stock; days as columns ahead, None beyond the last one.

    `empty`, `empty_early`, `empty_late`: when it is gone if nothing comes at all; `empty_despite`: if what is under
    way and the order come on their days. `next_arrival`: the first of them. `chance_before`: of being gone by then,
    `chance_after`: of being gone, despite all of them, by the end of lead time and review period. `suggested` and
    `ordered` blanks. `needed`: expected prints over lead time and review period; `waiting`: expected requests that
    the cap leaves waiting at their end.
    """

    empty: int | None
    empty_early: int | None
    empty_late: int | None
    empty_despite: int | None
    next_arrival: int | None
    chance_before: float
    chance_after: float
    suggested: int
    ordered: int
    needed: int
    waiting: int


def check_changes(changes: Changes) -> None:
    """Raises Invalid `late_days_range`, `quantity_too_large`."""
    if not 0 <= changes.late_days <= LATEST:
        raise Invalid("late_days_range", limit=LATEST)
    if max(changes.outreach, changes.cap or 0, changes.order or 0) > MAX_QUANTITY:
        raise Invalid("quantity_too_large", limit=MAX_QUANTITY)


def try_out(stock: Stock, changes: Changes) -> Outcome:
    """What becomes of the stock under these changes; without any, what is expected now."""
    requests, prints = _demand(stock, changes, stock.paths)
    _, wanted = _demand(stock, changes, stock.wanted[None, :])
    lead = stock.lead_days + changes.late_days
    end = _nth_open(stock.open, lead + stock.review_days)
    last = stock.open.size - 1 if end is None else end
    suggested = _order(stock, changes, int(wanted[0, last]) if last >= 0 else 0)
    ordered = suggested if changes.order is None else changes.order
    coming = _coming(stock, changes, ordered, lead)
    free = np.full(stock.open.size, float(stock.store - stock.backlog))
    bare = _gone(prints, free)
    despite = _gone(prints, free + _arrived(coming, free.size))
    first = min((each.column for each in coming), default=None)
    return Outcome(
        empty=_first_day(bare[MEDIAN]),
        empty_early=_first_day(bare[EARLY]),
        empty_late=_first_day(bare[LATE]),
        empty_despite=_first_day(despite[MEDIAN]),
        next_arrival=first,
        chance_before=_share(despite[:, last if first is None else first], free),
        chance_after=_share(despite[:, last], free),
        suggested=suggested,
        ordered=ordered,
        needed=round(float(prints[:, last].mean())),
        waiting=round(float((requests - prints)[:, last].mean())),
    )


def _demand(stock: Stock, changes: Changes, paths: Numbers) -> tuple[Numbers, Numbers]:
    """Cumulative requests and prints by day, with the outreach and under the cap."""
    days = np.arange(stock.open.size)
    requests = paths + np.where(days >= changes.outreach_column, changes.outreach, 0)
    if changes.cap is None:
        return requests, requests
    works = stock.open | ((days == changes.outreach_column) & (changes.outreach > 0))
    possible = changes.cap * np.cumsum(works)
    spare = np.minimum(np.minimum.accumulate(requests - possible, axis=1), 0.0)
    return requests, possible + spare


def _order(stock: Stock, changes: Changes, wanted: int) -> int:
    """Whole packs that bring the stock up to what is wanted; what is under way is not ordered again."""
    inbound = 0 if changes.nothing_comes else stock.inbound
    missing = wanted + stock.backlog - stock.store - inbound
    return -(-max(missing, 0) // stock.pack_size) * stock.pack_size


def _coming(stock: Stock, changes: Changes, ordered: int, lead: int) -> list[Arrival]:
    expected = () if changes.nothing_comes else stock.arrivals
    coming = [
        Arrival(column=later, quantity=each.quantity)
        for each in expected
        if (later := _later(stock.open, each.column, changes.late_days)) is not None
    ]
    # A lead time of no days at all: the order is there on the first open day.
    arrives = _nth_open(stock.open, max(lead, 1))
    if ordered and arrives is not None:
        coming.append(Arrival(column=arrives, quantity=ordered))
    return coming


def _later(opened: Flags, column: int, working_days: int) -> int | None:
    if working_days == 0:
        return column if column < opened.size else None
    return _nth_open(opened, int(opened[: column + 1].sum()) + working_days)


def _nth_open(opened: Flags, number: int) -> int | None:
    """The column of the n-th open day, from 1; None beyond the last."""
    columns = np.flatnonzero(opened)
    return int(columns[number - 1]) if 1 <= number <= columns.size else None


def _arrived(coming: Iterable[Arrival], days: int) -> Numbers:
    """Blanks that have arrived before each day."""
    per_day = np.zeros(days + 1)
    for each in coming:
        per_day[each.column + 1] += each.quantity
    return np.cumsum(per_day)[:days]


def _gone(prints: Numbers, there: Numbers) -> Flags:
    """(P,H) whether the stock was gone on that day or before. With nothing free the next request waits already."""
    gone = (prints > there) | (there <= 0)
    return np.logical_or.accumulate(gone, axis=1)


def _share(gone: Flags, free: Numbers) -> float:
    return 1.0 if free[0] <= 0 else float(gone.sum()) / (len(PROBABILITIES) + 1)


def _first_day(gone: Any) -> int | None:
    return int(np.argmax(gone)) if gone.any() else None
