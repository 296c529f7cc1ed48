"""Where things stand on a picture: its frame, scales of days and of figures, and what to write beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 14, 24
LABEL = 56
"""A day written below the picture wants so much room."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From days and figures to places."""

    first: date
    last: date
    most: float
    least: float

    @classmethod
    def over(cls, days: Sequence[date], most: float, least: float = 0.0) -> Scale:
        return cls(min(days), max(days), most, least)

    def x(self, day: date) -> float:
        share = (day - self.first).days / max((self.last - self.first).days, 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, figure: float) -> float:
        """What lies beyond the picture is drawn at its edge."""
        kept = min(max(figure, self.least), self.most)
        share = (kept - self.least) / (self.most - self.least)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def places(self, points: Sequence[tuple[date, float]]) -> list[Point]:
        return [(self.x(day), self.y(figure)) for day, figure in points]

    def written(self, points: Sequence[tuple[date, float]]) -> str:
        return svg(self.places(points))

    def until_edge(self, points: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
        """Up to the first point that lies below the picture."""
        below = [i for i, (_, figure) in enumerate(points) if figure < self.least]
        return list(points[: below[0] + 1] if below else points)

    def figures(self) -> list[int]:
        """Up to five round figures from zero on."""
        return round_figures(self.most)


def round_up(figure: float) -> float:
    """The next 1, 2 or 5 with zeros: 1, 2, 5, 10 and so on."""
    power = 10 ** math.floor(math.log10(max(figure, 1)))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= figure)


def round_figures(most: float) -> list[int]:
    """Up to five of them, from zero to `most`."""
    step = round_up(most / 4)
    return [int(step * number) for number in range(5) if step * number <= most]


def svg(places: Sequence[Point]) -> str:
    """As SVG takes points: "1,2 3,4"."""
    return " ".join(f"{x},{y}" for x, y in places)


def thinned(places: Sequence[Point]) -> list[Point]:
    """The same line with no more points than can be told apart: of those that share a column one wide the first, the
    highest, the lowest and the last."""
    kept: list[Point] = []
    for _, column in groupby(places, key=lambda place: round(place[0])):
        some = list(column)
        last = len(some) - 1
        heights = [y for _, y in some]
        wanted = {0, last, heights.index(min(heights)), heights.index(max(heights))}
        kept += [some[number] for number in sorted(wanted)]
    return kept


def anchor(x: float, room: float = 20) -> str:
    """How a text is to stand at `x` so that it stays on the picture: SVG's start, middle or end."""
    if x < LEFT + room:
        return "start"
    return "end" if x > WIDTH - RIGHT - room else "middle"


def steps(points: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """A stock stays until the end of the next day: a line with corners."""
    corners: list[tuple[date, float]] = []
    for day, figure in points:
        if corners:
            corners.append((day, corners[-1][1]))
        corners.append((day, figure))
    return corners


def days_to_write(scale: Scale, today: date) -> tuple[tuple[float, date], ...]:
    """The ends, today, and half way to the last day; none so close to another that they would overlap."""
    wanted = [today, scale.first, scale.last, today + timedelta(days=(scale.last - today).days // 2)]
    kept: list[tuple[float, date]] = []
    for day in wanted:
        x = scale.x(day)
        if all(abs(x - other) >= LABEL for other, _ in kept):
            kept.append((x, day))
    return tuple(sorted(kept))
