"""What alerts are about, and when a stock is low: levels, thresholds and hysteresis.

The thresholds come from the projection, not from a fixed number of cards: what matters is whether the stock outlasts
the time that a delivery takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    LOW_STOCK = "low_stock"
    OVERDUE_TRANSFER = "overdue_transfer"
    SPOILED_NOT_DESTROYED = "spoiled_not_destroyed"
    DAY_NOT_CLOSED = "day_not_closed"
    DAY_DIFFERENCE = "day_difference"
    COUNT_DIFFERENCE = "count_difference"
    CONSUMABLE_FIRST = "consumable_first"
    MODEL_WORSE = "model_worse"
    JOB_NOT_RUN = "job_not_run"


CUSTODY = tuple(subject for subject in Subject if subject is not Subject.LOW_STOCK)
"""Subjects about what nobody looks after, rather than about too few blanks."""


REVIEWED = tuple(subject for subject in CUSTODY if subject is not Subject.JOB_NOT_RUN)
"""Those of them that the review finds: it cannot tell of itself that it did not run."""


class Level(StrEnum):
    OK = "ok"
    UNKNOWN = "unknown"
    WATCH = "watch"
    LOW = "low"
    CRITICAL = "critical"
    OUT = "out"


SEVERITY = {level: rank for rank, level in enumerate(Level)}
"""Ok, not enough data, watch, low, critical, out: the order in which they want attention."""

CRITICAL_PROBABILITY = 0.5
"""Critical: more likely than not the stock is gone before a delivery asked for today can arrive, and no other comes
in time."""

RELIEF = 0.30
"""A level is lowered only when the stock has passed its threshold by this share, so that it does not flutter; what was
ordered as suggested relieves it in any case."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the review measured for one office and item.

    `usable` = cards in the store less requests that wait; `inbound` = on order or in transit to this office;
    `reorder_point` = demand at the service level until a delivery that somebody asks for at the next look;
    `order_up_to` = the same over lead time and review period; `stockout_in_lead` = probability that the stock runs out
    within the lead time although what is due comes when it is expected.
    `known` is False when there is neither enough history nor a stated rate.
    """

    store: int
    usable: int
    inbound: int
    known: bool
    reorder_point: float
    order_up_to: float
    stockout_in_lead: float


def lateness_level(days_late: int, patience: int) -> Level:
    """The level of something left undone: ok until its day, then watch, and critical after `patience` days more."""
    if days_late <= 0:
        return Level.OK
    return Level.WATCH if days_late <= patience else Level.CRITICAL


def measured_level(reading: Reading) -> Level:
    """The level that the numbers say by themselves.

    Out when the store is empty; unknown when there is no projection; critical when a stock-out within the lead time
    is more likely than not; low when stock and inbound are below the reorder point; watch when they are below what
    lead time and review period together may ask for.
    """
    return _level(reading, relief=0.0)


def next_level(previous: Level, reading: Reading) -> Level:
    """The level after `previous`: worse at once, better only past the threshold by RELIEF."""
    now = _level(reading, relief=0.0)
    if SEVERITY[now] >= SEVERITY[previous] or Level.UNKNOWN in (now, previous):
        return now
    relieved = _level(reading, relief=RELIEF)
    return min(relieved, previous, key=SEVERITY.__getitem__)


def _level(reading: Reading, relief: float) -> Level:
    if reading.store <= 0:
        return Level.OUT
    if not reading.known:
        return Level.UNKNOWN
    position = reading.usable + reading.inbound
    if reading.stockout_in_lead >= CRITICAL_PROBABILITY * (1 - relief):
        return Level.CRITICAL
    if position < max(reading.reorder_point, min(reading.reorder_point * (1 + relief), reading.order_up_to)):
        return Level.LOW
    if position < reading.order_up_to * (1 + relief):
        return Level.WATCH
    return Level.OK
