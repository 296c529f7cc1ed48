"""How good alerts were: how early they came before a stock-out, which stock-outs had none, which alerts were false.

A *warning* is a stretch of an alert at level low or worse, from the night on which it rose to low to the one on which
it fell below it again. Watch asks nobody to order yet, and is not a warning. Days are columns of one stock's record.

A *stock-out* begins on an open day at whose close the store is empty, and lasts for the open days in a row of which
that is so. One that had begun before the record has no known beginning, and is left out.

*In time*: a warning opened at least the lead time before the stock-out. The lead is counted as a delivery's wait is:
the first open day on which the warning could be read is the day on which somebody asks, and each open day after it,
up to the one on which the store runs empty, is one of the lead. So with a lead equal to the lead time, what was asked
for at once comes on the very day. A warning counts for a stock-out when it was open as the stock-out began, or ended
after the last arrival before it: an order on its way ends a warning, and where that order comes late or never
the office had been warned all the same. A warning that ended before the store was filled up again said nothing of
what came afterwards. Of several the earliest counts. A warning of the day after, when all can see that the store is
empty, is none.

*False*: a warning after which, had nobody ordered because of it, the stock would have outlasted lead time and review
period. Why both: who does not ask now asks at the next review at the earliest, and what is asked for then comes after
both. If stock and inbound last until that day, the warning came a whole review too early, and nothing would have been
lost without it; if they do not, whoever passes it over runs out. (Of stocks warned at a service level of 95 % most do
not run out within the lead time alone; they are not meant to, or every second office would run out each time.)
Orders do arrive, so what happened to the stock says nothing: what counts is the demand that followed, against what was
usable and inbound when the warning opened. Demand on days without stock is not known: prints are a lower bound, and
the other days' mean stands in for such days, where at least half of the days are others. A warning that began with the
store empty foretold nothing: it is neither false nor right, and its stock-out was missed. A warning without a
projection, or whose days are not over and not decided yet, is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import accumulate
from statistics import median

from inventory.domain.alerts import SEVERITY, Level

LEAST_SEEN = 0.5
"""The share of the days that must say something about demand before a warning is called false."""


class Timing(StrEnum):
    IN_TIME = "in_time"
    LATE = "late"
    MISSED = "missed"


class Verdict(StrEnum):
    NEEDED = "needed"
    FALSE = "false"
    UNDECIDED = "undecided"
    NO_PROJECTION = "no_projection"
    EMPTY = "empty"
    """It began with the store empty."""


@dataclass(frozen=True, eq=False)
class Record:
    """One stock day by day, T calendar days: whether the office was open, what the store held at the close, what
    arrived, new requests that were printed, and whether these say nothing about demand (no stock)."""

    open: Sequence[bool]
    closing: Sequence[int]
    arrived: Sequence[int]
    demand: Sequence[int]
    censored: Sequence[bool]


@dataclass(frozen=True, kw_only=True)
class Step:
    """An alert's level from the office's day `day` on; the rest is what it said then. `lead_days`, `review_days`:
    open days. `known`: there was a projection."""

    day: int
    level: Level
    known: bool = True
    store: int = 0
    usable: int = 0
    inbound: int = 0
    lead_days: int = 0
    review_days: int = 0


@dataclass(frozen=True, kw_only=True)
class Warned:
    """A warning: its first step, and the day on which it ended; None while it is open."""

    step: Step
    ended: int | None


@dataclass(frozen=True, kw_only=True)
class StockOut:
    """`first` and `last` day of it, and how many open days it took; `last` is the record's last open day while it goes
    on."""

    first: int
    last: int
    days: int


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """A stock-out, whether it was warned of, and the open days of the lead; None where it was missed."""

    stock_out: StockOut
    timing: Timing
    lead: int | None


def is_warning(level: Level) -> bool:
    return SEVERITY[level] >= SEVERITY[Level.LOW]


def warnings_of(steps: Iterable[Step]) -> list[Warned]:
    """The warnings among the steps of one stock's alerts, in their order."""
    found: list[Warned] = []
    began: Step | None = None
    for step in steps:
        if is_warning(step.level):
            began = began or step
        elif began is not None:
            found.append(Warned(step=began, ended=step.day))
            began = None
    return found if began is None else [*found, Warned(step=began, ended=None)]


def stock_outs(record: Record) -> list[StockOut]:
    """The stock-outs that began within the record."""
    runs: list[list[int]] = []
    before: bool | None = None
    for day in (day for day, is_open in enumerate(record.open) if is_open):
        empty = record.closing[day] <= 0
        if empty and before is False:
            runs.append([day])
        elif empty and runs and before:
            runs[-1].append(day)
        # Empty from the first day on: nobody knows since when, until it is filled.
        before = empty if before is not None or not empty else None
    return [StockOut(first=run[0], last=run[-1], days=len(run)) for run in runs]


def foretold(record: Record, warnings: Sequence[Warned], lead_days: int, *, unbroken: bool = False) -> list[Foretold]:
    """Each stock-out with its timing. `lead_days`: the office's setting, where no warning says what it was.

    `unbroken` counts only warnings that were open as the stock-out began.
    """
    opened = [0, *accumulate(int(each) for each in record.open)]
    found = []
    for stock_out in stock_outs(record):
        # What arrives on a day ends a warning in the night after it.
        since = stock_out.first if unbroken else _last_arrival(record, stock_out.first) + 1
        counts = [
            each for each in warnings if each.step.day <= stock_out.first and (each.ended is None or each.ended > since)
        ]
        if not counts:
            found.append(Foretold(stock_out=stock_out, timing=Timing.MISSED, lead=None))
            continue
        step = counts[0].step
        lead = opened[stock_out.first + 1] - opened[max(step.day, 0)] - 1
        in_time = lead >= (step.lead_days or lead_days)
        found.append(Foretold(stock_out=stock_out, timing=Timing.IN_TIME if in_time else Timing.LATE, lead=lead))
    return found


def _last_arrival(record: Record, day: int) -> int:
    """The day of the last arrival before `day`; that before the record where there was none."""
    return next((each for each in range(day - 1, -1, -1) if record.arrived[each]), -1)


def verdict(record: Record, warning: Warned, *, review: bool = True) -> Verdict:
    """Whether a warning was false. Without `review` it had to be about the lead time alone to be right."""
    step = warning.step
    if step.store <= 0:
        return Verdict.EMPTY
    if not step.known:
        return Verdict.NO_PROJECTION
    wanted = step.lead_days + (step.review_days if review else 0)
    start = max(step.day, 0)
    days = [day for day in range(start, len(record.open)) if record.open[day]][:wanted]
    seen = [record.demand[day] for day in days if not record.censored[day]]
    if _runs_out(record, step, days, 0.0):
        return Verdict.NEEDED
    if len(days) < wanted or len(seen) < LEAST_SEEN * wanted or not seen:
        return Verdict.UNDECIDED
    return Verdict.NEEDED if _runs_out(record, step, days, sum(seen) / len(seen)) else Verdict.FALSE


def _runs_out(record: Record, step: Step, days: Sequence[int], usual: float) -> bool:
    """Whether what was usable, and of what was inbound as much as had come, was used up on one of the open days;
    on days that say nothing about demand at least `usual` was asked for."""
    stock, to_come, since = float(step.usable), step.inbound, max(step.day, 0)
    for day in days:
        came = min(to_come, sum(record.arrived[since : day + 1]))
        to_come -= came
        since = day + 1
        stock += came - (max(record.demand[day], usual) if record.censored[day] else record.demand[day])
        if stock <= 0:
            return True
    return False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Stock-outs by timing, warnings by verdict, and the median lead in open days of those stock-outs that had one."""

    in_time: int = 0
    late: int = 0
    missed: int = 0
    needed: int = 0
    false: int = 0
    undecided: int = 0
    no_projection: int = 0
    empty: int = 0
    median_lead: float | None = None

    @property
    def stock_outs(self) -> int:
        return self.in_time + self.late + self.missed

    @property
    def warnings(self) -> int:
        """Of every verdict but those that began with the store empty."""
        return self.needed + self.false + self.undecided + self.no_projection

    @property
    def in_time_share(self) -> float | None:
        return self.in_time / self.stock_outs if self.stock_outs else None

    @property
    def missed_share(self) -> float | None:
        return self.missed / self.stock_outs if self.stock_outs else None

    @property
    def false_share(self) -> float | None:
        """Of the warnings that are decided."""
        decided = self.needed + self.false
        return self.false / decided if decided else None

    def as_json(self) -> dict[str, int | float | None]:
        """All counts and shares, by name."""
        shares = ("stock_outs", "warnings", "in_time_share", "missed_share", "false_share")
        return asdict(self) | {name: getattr(self, name) for name in shares}


def figures(outs: Iterable[Foretold], verdicts: Iterable[Verdict]) -> Figures:
    """What stock-outs and warnings add up to."""
    counts = {kind.value: 0 for kinds in (Timing, Verdict) for kind in kinds}
    leads = []
    for each in outs:
        counts[each.timing.value] += 1
        if each.lead is not None:
            leads.append(each.lead)
    for kind in verdicts:
        counts[kind.value] += 1
    return Figures(median_lead=float(median(leads)) if leads else None, **counts)
