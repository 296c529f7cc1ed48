"""Pictures as plain geometry: where lines, bands and labels stand; templates draw them as SVG, style sheets colour
them.

A picture says nothing that its page does not say in words and tables as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from inventory.services.arrivals import Expected
from inventory.services.explanations import Closing
from inventory.services.run_out_timeline import Span

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 14, 24
BANDS = (("0.025", "0.975"), ("0.1", "0.9"), ("0.25", "0.75"))
"""Of demand, from the widest to the narrowest."""
BELOW_ZERO = 0.12
"""Share of the height that shows by how much requests outgrow the stock."""

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A delivery, at its place on the picture."""

    x: float
    y: float
    day: date
    quantity: int


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
    rows: tuple[Ahead, ...]


def outlook(past: Sequence[Closing], facts: Mapping[str, Any], expected: Sequence[Expected]) -> Outlook | None:
    """The picture of a stock, as far as its past and its facts go; None where there are less than two days."""
    ahead = _Ahead.of(facts)
    most = _highest(past, ahead, facts)
    shown = ahead.until_gone(-BELOW_ZERO * most) if ahead else None
    days = [closing.day for closing in past] + (shown.days if shown else [])
    if len(days) < 2:
        return None
    scale = _Scale.over(days, most, below=ahead is not None)
    points = {name: shown.points(name) for name in shown.demand} if shown else {}
    reorder = facts.get("reorder_point")
    last_past = past[-1].day if past else days[0]
    coming = [each for each in expected if last_past < each.on_day <= max(days)]
    return Outlook(
        past=scale.written(_steps([(closing.day, closing.store) for closing in past])),
        bands=tuple(
            scale.written([*points[low], *reversed(points[high])])
            for low, high in BANDS
            if low in points and high in points
        ),
        median=scale.written(scale.until_edge(points.get("0.5", []))),
        zero=scale.y(0),
        today=scale.x(last_past),
        reorder=None if reorder is None else scale.y(reorder),
        days=_days_to_write(scale, last_past),
        figures=tuple((scale.y(figure), figure) for figure in scale.figures()),
        arrived=tuple(
            Mark(x=scale.x(each.day), y=scale.y(each.store), day=each.day, quantity=each.arrived)
            for each in past
            if each.arrived > 0
        ),
        expected=tuple(
            Mark(x=scale.x(each.on_day), y=scale.y(0), day=each.on_day, quantity=each.quantity) for each in coming
        ),
        rows=ahead.rows() if ahead else (),
    )


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


@dataclass(frozen=True)
class _Scale:
    """From days and figures to places."""

    first: date
    last: date
    most: float
    least: float

    @classmethod
    def over(cls, days: Sequence[date], most: float, *, below: bool) -> _Scale:
        return cls(min(days), max(days), most, -BELOW_ZERO * most if below else 0.0)

    def x(self, day: date) -> float:
        share = (day - self.first).days / max((self.last - self.first).days, 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, figure: float) -> float:
        """What lies beyond the picture is drawn at its edge."""
        kept = min(max(figure, self.least), self.most)
        share = (kept - self.least) / (self.most - self.least)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def written(self, points: Sequence[tuple[date, float]]) -> str:
        return " ".join(f"{self.x(day)},{self.y(figure)}" for day, figure in points)

    def until_edge(self, points: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
        """Up to the first point that lies below the picture."""
        below = [i for i, (_, figure) in enumerate(points) if figure < self.least]
        return list(points[: below[0] + 1] if below else points)

    def figures(self) -> list[int]:
        """Up to five round figures from zero on."""
        step = round_up(self.most / 4)
        return [int(step * number) for number in range(5) if step * number <= self.most]


def _highest(past: Sequence[Closing], ahead: _Ahead | None, facts: Mapping[str, Any]) -> float:
    figures = [closing.store for closing in past] + ([ahead.free] if ahead else [])
    # The reorder point belongs on the picture, unless the stock would be a line at the bottom beside it.
    most = max([1, *figures])
    reorder = facts.get("reorder_point") or 0
    return float(max(most, reorder)) * 1.05 if reorder <= 10 * most else most * 1.05


def round_up(figure: float) -> float:
    """The next 1, 2 or 5 with zeros: 1, 2, 5, 10 and so on."""
    power = 10 ** math.floor(math.log10(max(figure, 1)))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= figure)


def _steps(points: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """A stock stays until the end of the next day: a line with corners."""
    corners: list[tuple[date, float]] = []
    for day, figure in points:
        if corners:
            corners.append((day, corners[-1][1]))
        corners.append((day, figure))
    return corners


def _days_to_write(scale: _Scale, today: date) -> tuple[tuple[float, date], ...]:
    """The ends, today, and half way to the last day; none so close to another that they would overlap."""
    wanted = [today, scale.first, scale.last, today + timedelta(days=(scale.last - today).days // 2)]
    kept: list[tuple[float, date]] = []
    for day in wanted:
        x = scale.x(day)
        if all(abs(x - other) >= 56 for other, _ in kept):
            kept.append((x, day))
    return tuple(sorted(kept))


# --- in a line of a table ----------------------------------------------------------------------------------------

LINE_HEIGHT, DAY_WIDTH = 20, 2
BAR_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A cover of so many days: how long the bar is, whether it goes on beyond the picture, and where its marks are."""

    width: float
    goes_on: bool
    lead: float | None
    reorder: float | None


def bar(cover: float, scale: int, lead: float | None, reorder: float | None) -> Bar:
    """The bar of `cover` working days where a whole bar is `scale` of them. A mark beyond the picture is left out."""

    def place(days: float | None) -> float | None:
        return None if days is None or days > scale else round(BAR_WIDTH * days / scale, 1)

    width = min(cover, scale) / scale * BAR_WIDTH
    return Bar(width=round(max(width, 0.0), 1), goes_on=cover > scale, lead=place(lead), reorder=place(reorder))


def sparkline(figures: Sequence[int]) -> str:
    """The figures of consecutive days as a line with corners, from zero to the highest of them, as an SVG path."""
    most = max([1, *figures])
    places = [LINE_HEIGHT - 1 - round((LINE_HEIGHT - 2) * max(figure, 0) / most) for figure in figures]
    path, level, run = f"M0 {places[0]}", places[0], 0
    for place in places[1:]:
        run += DAY_WIDTH
        if place != level:
            path += f"h{run}v{place - level}"
            level, run = place, 0
    return path + (f"h{run}" if run else "")


# --- a few offices in one picture --------------------------------------------------------------------------------

LABEL_ROOM = timedelta(days=4)
"""Right of the last day, for the letters of the lines."""
LABEL_HEIGHT = 10


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line over the days, and where its letter stands at its end."""

    points: str
    x: float
    y: float
    letter_y: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Lines on one scale; None for one of which nothing is known."""

    curves: tuple[Curve | None, ...]
    zero: float
    days: tuple[tuple[float, date], ...]
    figures: tuple[tuple[float, int], ...]


def curves(days: Sequence[date], series: Sequence[Sequence[float | None]]) -> Curves | None:
    """Each of the series has a figure for each of the days, None where it is not known; None if that is everywhere."""
    known = [figure for each in series for figure in each if figure is not None]
    if not known or len(days) < 2:
        return None
    scale = _Scale.over([*days, days[-1] + LABEL_ROOM], max(1.0, *known) * 1.05, below=False)
    drawn = [[(day, figure) for day, figure in zip(days, each, strict=True) if figure is not None] for each in series]
    ends = _apart([scale.y(points[-1][1]) if points else None for points in drawn])
    return Curves(
        curves=tuple(
            Curve(
                points=scale.written(_steps(points)),
                x=scale.x(points[-1][0]),
                y=scale.y(points[-1][1]),
                letter_y=end,
            )
            if points and end is not None
            else None
            for points, end in zip(drawn, ends, strict=True)
        ),
        zero=scale.y(0),
        days=_days_to_write(scale, days[-1]),
        figures=tuple((scale.y(figure), figure) for figure in scale.figures()),
    )


def _apart(heights: Sequence[float | None]) -> list[float | None]:
    """The heights, pushed up from each other until letters that stand there can be read."""
    found: list[float | None] = [None] * len(heights)
    above = float(HEIGHT - BOTTOM - 3 + LABEL_HEIGHT)
    for height, place in sorted(((height, i) for i, height in enumerate(heights) if height is not None), reverse=True):
        above = min(height, above - LABEL_HEIGHT)
        found[place] = above
    return found


# --- from when to when -------------------------------------------------------------------------------------------

SPAN_WIDTH = 560


@dataclass(frozen=True, kw_only=True)
class SpanBar:
    """From the early to the late day of a run-out on a line of weeks; `left` and `likely` are None where they lie
    beyond it. `goes_on`: the late day does."""

    left: float | None
    width: float
    goes_on: bool
    likely: float | None
    arrivals: tuple[tuple[float, date, int], ...]


def span_bar(span: Span, today: date, last: date) -> SpanBar:
    days = (last - today).days + 1

    def place(day: date) -> float:
        return round(min(max((day - today).days, 0), days) / days * SPAN_WIDTH, 1)

    first = span.early or span.likely
    left = place(first) if first and first <= last else None
    # The late day itself is still one on which it may happen.
    goes_on = left is not None and (span.late is None or span.late > last)
    right = SPAN_WIDTH if goes_on or span.late is None else place(span.late + timedelta(days=1))
    return SpanBar(
        left=left,
        width=round(max(right - left, 3.0), 1) if left is not None else 0.0,
        goes_on=goes_on,
        likely=place(span.likely) if span.likely and span.likely <= last else None,
        arrivals=tuple((place(day), day, quantity) for day, quantity in span.arrivals),
    )
