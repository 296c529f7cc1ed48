"""Evidence: the days that say something about demand, and what was requested on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inventory.domain.demand.arrays import WEEK, Counts, Flags, Numbers, Places, by_chunk, by_weekday, stack
from inventory.domain.demand.inputs import Ahead, History, Seasons, Settings

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


@dataclass(frozen=True, eq=False)
class Record:
    """What the steps look at again and again: history, calendar ahead and seasons; and, worked out once, which days say
    something about demand, usable (S,T), what was newly requested on them, prints (S,T), 0 on the others, and which
    open days follow a closure, after (S,T+H): those of the history also as rows and columns (N,), ascending by row."""

    history: History
    ahead: Ahead
    seasons: Seasons | None
    usable: Flags
    prints: Counts
    after: Flags
    after_rows: Counts
    after_columns: Counts

    @property
    def series(self) -> int:
        return self.history.series

    @property
    def first_weekday(self) -> int:
        return self.history.first_day.weekday()

    @property
    def labels(self) -> Counts | None:
        """(S,T) the season of each day of the history."""
        return None if self.seasons is None else self.seasons.past

    def after_closure(self, rows: slice) -> Flags:
        """(C,T) of the history."""
        return self.after[rows, : self.history.days]

    def first_days(self, rows: slice) -> Places:
        """The same as rows of the chunk and columns (N,)."""
        part = slice(*np.searchsorted(self.after_rows, [rows.start, rows.stop]))
        return self.after_rows[part] - rows.start, self.after_columns[part]


def record(history: History, ahead: Ahead, seasons: Seasons | None, settings: Settings) -> Record:
    """Nothing of it is kept by anybody: it is worked out for one projection."""
    usable = np.empty(history.demand.shape, dtype=bool)
    after = np.empty((history.series, history.days + ahead.open.shape[1]), dtype=bool)
    prints = np.empty_like(history.demand)

    def work(rows: slice) -> Places:
        usable[rows] = _usable(history, rows)
        np.subtract(history.demand[rows], history.served_waiting[rows], out=prints[rows])
        np.copyto(prints[rows], 0, where=~usable[rows])
        after[rows] = _after_closure(history, ahead, rows)
        row, column = np.nonzero(after[rows, : history.days])
        return row + rows.start, column

    first = by_chunk(work, history.series, settings.chunk)
    places = (np.concatenate([each[axis] for each in first]) for axis in range(2))
    return Record(history, ahead, seasons, usable, prints, after, *places)


def survey(record: Record, settings: Settings, bursts: Bursts | None = None) -> Survey:
    """The prints are those without the bursts, once these have been found."""
    return stack(Survey, by_chunk(lambda rows: _survey_rows(record, rows, bursts), record.series, settings.chunk))


def _survey_rows(record: Record, rows: slice, bursts: Bursts | None) -> Survey:
    history, (prints, usable) = record.history, evidence(record, rows, bursts)
    known, opened, out = history.known[rows], history.open[rows], history.stocked_out[rows]
    rationed, announced = _flags(history, "rationed", rows), _flags(history, "announced", rows)
    after = usable & record.after_closure(rows)
    plain = usable & ~after
    first = record.first_weekday
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


def evidence(record: Record, rows: slice, bursts: Bursts | None = None) -> tuple[Numbers, Flags]:
    """New requests printed on each day that says something about demand (C,T), and which days those are; without
    the bursts, where these are given.

    Prints for waiting requests are the demand of days that are left out: to leave out the days and keep the
    prints would count that demand on the wrong days, which is worse than leaving out neither.
    """
    prints = record.prints[rows].astype(np.float64)
    return prints if bursts is None else bursts.set_apart(prints, rows), record.usable[rows]


def _usable(history: History, rows: slice) -> Flags:
    usable = history.open[rows] & history.known[rows] & ~history.stocked_out[rows]
    for name in ("rationed", "announced"):
        usable &= ~_flags(history, name, rows)
    return usable


def _flags(history: History, name: str, rows: slice) -> Flags:
    """(C,T) of days that some series have; None stands for none of them."""
    flags: Flags | None = getattr(history, name)
    return np.broadcast_to(False, history.open[rows].shape) if flags is None else flags[rows]


def _after_closure(history: History, ahead: Ahead, rows: slice) -> Flags:
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
