"""Evidence: the days that say something about demand, and what was requested on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inventory.domain.demand.arrays import WEEK, Counts, Flags, Numbers, by_weekday, chunks, stack
from inventory.domain.demand.inputs import Ahead, History, Settings

if TYPE_CHECKING:
    from inventory.domain.demand.bursts import Bursts


@dataclass(frozen=True, eq=False)
class Survey:
    """Sums over the whole history by weekday (S,7); "after" are the first days after a closure."""

    days_used: Counts
    days_stocked_out: Counts
    days_rationed: Counts
    days_announced: Counts
    days_closed: Counts
    days_unknown: Counts
    prints: Numbers
    days: Numbers
    prints_after: Numbers
    days_after: Numbers


def survey(history: History, ahead: Ahead, settings: Settings, bursts: Bursts | None = None) -> Survey:
    """The prints are those without the bursts, once these have been found."""
    parts = (_survey_rows(history, ahead, rows, bursts) for rows in chunks(history.series, settings.chunk))
    return stack(Survey, parts)


def _survey_rows(history: History, ahead: Ahead, rows: slice, bursts: Bursts | None) -> Survey:
    prints, usable = evidence(history, rows, bursts)
    known, opened, out = history.known[rows], history.open[rows], history.stocked_out[rows]
    rationed, announced = _flags(history, "rationed", rows), _flags(history, "announced", rows)
    after = usable & after_closure(history, ahead, rows)[:, : history.days]
    plain = usable & ~after
    first = history.first_day.weekday()
    return Survey(
        days_used=usable.sum(axis=1),
        days_stocked_out=(known & opened & out).sum(axis=1),
        days_rationed=(known & opened & ~out & rationed).sum(axis=1),
        days_announced=(known & opened & ~out & ~rationed & announced).sum(axis=1),
        days_closed=(known & ~opened).sum(axis=1),
        days_unknown=(~known).sum(axis=1),
        prints=by_weekday(prints * plain, first),
        days=by_weekday(plain, first),
        prints_after=by_weekday(prints * after, first),
        days_after=by_weekday(after, first),
    )


def evidence(history: History, rows: slice, bursts: Bursts | None = None) -> tuple[Numbers, Flags]:
    """New requests printed on each day that says something about demand (C,T), and which days those are; without
    the bursts, where these are given.

    Prints for waiting requests are the demand of days that are left out: to leave out the days and keep the
    prints would count that demand on the wrong days, which is worse than leaving out neither.
    """
    usable = history.open[rows] & history.known[rows] & ~history.stocked_out[rows]
    usable &= ~_flags(history, "rationed", rows) & ~_flags(history, "announced", rows)
    new = history.demand[rows] - history.served_waiting[rows]
    prints = np.where(usable, new, 0).astype(np.float64)
    return prints if bursts is None else bursts.set_apart(prints, rows), usable


def _flags(history: History, name: str, rows: slice) -> Flags:
    """(C,T) of days that some series have; None stands for none of them."""
    flags: Flags | None = getattr(history, name)
    return np.zeros_like(history.open[rows]) if flags is None else flags[rows]


def after_closure(history: History, ahead: Ahead, rows: slice) -> Flags:
    """(C,T+H) open days that follow a closure: since the last open day, a weekday usually open was not."""
    opened = np.concatenate([history.open[rows], ahead.open[rows]], axis=1)
    columns = np.arange(opened.shape[1])
    first = history.first_day.weekday()
    # Share of each weekday's dates that are open, over all dates of that weekday.
    share = by_weekday(opened, first) / np.maximum(by_weekday(np.ones((1, columns.size)), first), 1.0)
    closed = ~opened & (share > 0.5)[:, (first + columns) % WEEK]
    closures = np.cumsum(closed, axis=1, dtype=np.int32)
    at_last_open = np.maximum.accumulate(np.where(opened, closures, 0), axis=1)
    before = np.concatenate([np.zeros_like(closures[:, :1]), at_last_open[:, :-1]], axis=1)
    return opened & (closures > before)
