"""The stock of an office, day by day: what was there, and what is likely to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from inventory.domain.series import Closing
from inventory.services.arrivals import Expected
from inventory.web.pictures.scales import Scale, anchor, days_to_write, steps, svg, thinned

BANDS = (("0.025", "0.975"), ("0.1", "0.9"), ("0.25", "0.75"))
"""Of demand, from the widest to the narrowest."""
BELOW_ZERO = 0.12
"""Share of the height that shows by how much requests outgrow the stock."""


LABELS, LABEL_ROOM = 6, 40
"""How many deliveries have their quantity written beside them, and how far apart these have to be."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A delivery or a count, at its place on the picture. `labelled` when there is room to write its quantity."""

    x: float
    y: float
    day: date
    quantity: int
    labelled: bool = False

    @property
    def anchor(self) -> str:
        return anchor(self.x)


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A day ahead: the likely stock if nothing comes, and between which figures it lies in eight cases of ten. Below
    zero: so many requests would wait."""

    day: date
    likely: int
    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The stock of the last days and of those ahead. Points are texts as SVG takes them: "1,2 3,4"."""

    past: str
    bands: tuple[str, ...]
    median: str
    zero: float
    today: float
    reorder: float | None
    days: tuple[tuple[float, date], ...]
    """Where to write a day below the picture."""
    figures: tuple[tuple[float, int], ...]
    """Where to write a figure beside the picture."""
    arrived: tuple[Mark, ...]
    expected: tuple[Mark, ...]
    counted: tuple[Mark, ...]
    out: tuple[float, date] | None
    """Where the likeliest day without stock is to be written."""
    rows: tuple[Ahead, ...]

    @property
    def out_anchor(self) -> str:
        return anchor(self.out[0], 60) if self.out else "middle"


def outlook(past: Sequence[Closing], facts: Mapping[str, Any], expected: Sequence[Expected]) -> Outlook | None:
    """The picture of a stock, as far as its past and its facts go; None where there are less than two days."""
    ahead = _Ahead.of(facts)
    most = _highest(past, ahead, facts)
    shown = ahead.until_gone(-BELOW_ZERO * most) if ahead else None
    days = [closing.day for closing in past] + (shown.days if shown else [])
    if len(days) < 2:
        return None
    scale = Scale.over(days, most, -BELOW_ZERO * most if ahead else 0.0)
    points = {name: shown.points(name) for name in shown.demand} if shown else {}
    reorder = facts.get("reorder_point")
    last_past = past[-1].day if past else days[0]
    coming = [each for each in expected if last_past < each.on_day <= max(days)]
    return Outlook(
        past=svg(thinned(scale.places(steps([(closing.day, closing.store) for closing in past])))),
        bands=tuple(
            scale.written([*points[low], *reversed(points[high])])
            for low, high in BANDS
            if low in points and high in points
        ),
        median=scale.written(scale.until_edge(points.get("0.5", []))),
        zero=scale.y(0),
        today=scale.x(last_past),
        reorder=None if reorder is None else scale.y(reorder),
        days=days_to_write(scale, last_past),
        figures=tuple((scale.y(figure), figure) for figure in scale.figures()),
        arrived=_labelled(_marks(scale, past, "arrived")),
        expected=_labelled(
            [Mark(x=scale.x(each.on_day), y=scale.y(0), day=each.on_day, quantity=each.quantity) for each in coming]
        ),
        counted=tuple(_marks(scale, past, "counted")),
        out=_out(scale, facts) if shown else None,
        rows=ahead.rows() if ahead else (),
    )


def _marks(scale: Scale, past: Sequence[Closing], name: str) -> list[Mark]:
    """Where so much came in, or was put right by a count."""
    told = [(each, getattr(each, name)) for each in past]
    return [
        Mark(x=scale.x(each.day), y=scale.y(each.store), day=each.day, quantity=quantity)
        for each, quantity in told
        if quantity
    ]


def _labelled(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The largest have their quantities written, as far as there is room."""
    places: list[float] = []
    for mark in sorted(marks, key=lambda mark: -mark.quantity):
        if len(places) < LABELS and all(abs(mark.x - x) >= LABEL_ROOM for x in places):
            places.append(mark.x)
    return tuple(replace(mark, labelled=mark.x in places) for mark in marks)


def _out(scale: Scale, facts: Mapping[str, Any]) -> tuple[float, date] | None:
    written = facts.get("stockout_on")
    day = date.fromisoformat(written) if written else None
    return (scale.x(day), day) if day and scale.first <= day <= scale.last else None


@dataclass(frozen=True)
class _Ahead:
    """The fan of a projection's facts: cumulative demand by day, by probability."""

    start: date
    free: int
    days: list[date]
    demand: dict[str, list[float]]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> _Ahead | None:
        fan = facts.get("fan")
        if not fan or not fan.get("days") or "0.5" not in fan:
            return None
        names = {name for band in BANDS for name in band} | {"0.5"}
        demand = {name: list(fan[name]) for name in names if name in fan}
        days = [date.fromisoformat(day) for day in fan["days"]]
        return cls(date.fromisoformat(facts["on_day"]), int(facts["usable"]), days, demand)

    def points(self, name: str) -> list[tuple[date, float]]:
        """What is left of the stock, from the day it was counted on."""
        left = [self.free - demand for demand in self.demand[name]]
        return [(self.start, float(self.free)), *zip(self.days, left, strict=True)]

    def until_gone(self, least: float) -> _Ahead:
        """Without the days on which hardly any case is left to be seen."""
        luckiest = next(name for pair in BANDS for name in (*pair[:1], "0.5") if name in self.demand)
        below = [i for i, demand in enumerate(self.demand[luckiest]) if self.free - demand < least]
        count = below[0] + 1 if below else len(self.days)
        demand = {name: values[:count] for name, values in self.demand.items()}
        return _Ahead(self.start, self.free, self.days[:count], demand)

    def rows(self) -> tuple[Ahead, ...]:
        low, high = self.demand.get("0.9", self.demand["0.5"]), self.demand.get("0.1", self.demand["0.5"])
        return tuple(
            Ahead(
                day=day,
                likely=round(self.free - self.demand["0.5"][i]),
                low=round(self.free - low[i]),
                high=round(self.free - high[i]),
            )
            for i, day in enumerate(self.days)
        )


def _highest(past: Sequence[Closing], ahead: _Ahead | None, facts: Mapping[str, Any]) -> float:
    figures = [closing.store for closing in past] + ([ahead.free] if ahead else [])
    # The reorder point belongs on the picture, unless the stock would be a line at the bottom beside it.
    most = max([1, *figures])
    reorder = facts.get("reorder_point") or 0
    return float(max(most, reorder)) * 1.05 if reorder <= 10 * most else most * 1.05
