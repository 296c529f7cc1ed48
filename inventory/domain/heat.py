"""How offices fared week by week: figures of a week, and in which of five steps a figure falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.domain.series import Closing

WEEKS = 26


class Show(StrEnum):
    COVER = "cover"
    STOCK_OUT_DAYS = "stock_out_days"
    SPOILAGE = "spoilage"


STEPS = ("out", "critical", "low", "watch", "ok")
"""From the worst to the best, by the names of the levels whose colours they wear."""

LIMITS: Mapping[Show, tuple[float, float, float, float]] = {
    Show.COVER: (1, 5, 10, 20),
    Show.STOCK_OUT_DAYS: (5, 3, 2, 1),
    Show.SPOILAGE: (0.10, 0.05, 0.02, 0.01),
}
"""Where the steps begin. Cover is in working days: less than the first is the worst. Of the others, so many or more:
of the working days of a week, and of what left the store for the printers (0.9 % to 4.7 % has been published)."""


@dataclass(frozen=True)
class Cell:
    """A week of an office: the figure, and its step."""

    figure: float
    step: str


@dataclass(frozen=True, kw_only=True)
class Week:
    """What a week's figures are made of. `closings` are of the working days on which the office held the item."""

    closings: Sequence[Closing]
    printed: int
    spoiled: int

    @property
    def lowest(self) -> int:
        return min(each.store for each in self.closings)


def step_of(show: Show, figure: float) -> str:
    if show is Show.COVER:
        return next((step for step, limit in zip(STEPS, LIMITS[show], strict=False) if figure < limit), STEPS[-1])
    return next((step for step, limit in zip(STEPS, LIMITS[show], strict=False) if figure >= limit), STEPS[-1])


def cell_of(show: Show, week: Week, per_day: float) -> Cell | None:
    """None where there is nothing to say: a week without working days, without prints, or an office that used nothing
    up. `per_day` is what the office uses on a working day with stock."""
    figure = _figure(show, week, per_day)
    return None if figure is None else Cell(figure, step_of(show, figure))


def _figure(show: Show, week: Week, per_day: float) -> float | None:
    if show is Show.SPOILAGE:
        used = week.printed + week.spoiled
        return week.spoiled / used if used else None
    if not week.closings:
        return None
    if show is Show.STOCK_OUT_DAYS:
        return float(sum(each.store <= 0 for each in week.closings))
    if week.lowest <= 0:
        return 0.0
    return week.lowest / per_day if per_day else None


def badness(show: Show, cells: Sequence[Cell | None]) -> tuple[float, float]:
    """By which offices are sorted, the worst the largest: the sum over the weeks, and the last known one. Cover counts
    no further than where its best step begins: more is no better."""
    most = LIMITS[Show.COVER][-1]
    told = [_bad(show, each.figure, most) for each in cells if each is not None]
    if not told:
        return (-1.0, -1.0)
    # Shares and covers are means, so that an office which began later is not the better for it.
    whole = sum(told) if show is Show.STOCK_OUT_DAYS else sum(told) / len(told)
    return (round(whole, 9), told[-1])


def _bad(show: Show, figure: float, most: float) -> float:
    return most - min(figure, most) if show is Show.COVER else figure


def usage_per_day(used: Mapping[date, int], closings: Sequence[Closing]) -> float:
    """What is used up on a working day: days on which nothing could be used, for want of stock, say nothing of it."""
    served = sum(each.store > 0 or used.get(each.day, 0) > 0 for each in closings)
    return sum(used.values()) / served if served else 0.0
