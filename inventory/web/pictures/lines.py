"""Lines of tables and of comparisons: bars of cover, sparklines, curves of a few offices, spans of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from inventory.services.run_out_timeline import Span
from inventory.web.pictures.scales import BOTTOM, HEIGHT, Scale, days_to_write, steps

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

LETTER_ROOM = timedelta(days=4)
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
    scale = Scale.over([*days, days[-1] + LETTER_ROOM], max(1.0, *known) * 1.05)
    drawn = [[(day, figure) for day, figure in zip(days, each, strict=True) if figure is not None] for each in series]
    ends = _apart([scale.y(points[-1][1]) if points else None for points in drawn])
    return Curves(
        curves=tuple(
            Curve(
                points=scale.written(steps(points)),
                x=scale.x(points[-1][0]),
                y=scale.y(points[-1][1]),
                letter_y=end,
            )
            if points and end is not None
            else None
            for points, end in zip(drawn, ends, strict=True)
        ),
        zero=scale.y(0),
        days=days_to_write(scale, days[-1]),
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
