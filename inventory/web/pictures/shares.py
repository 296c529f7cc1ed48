"""Shares over time, each a line over the days on which it was reported, held against what they are to reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from inventory.domain.coverage import Share
from inventory.web.pictures.scales import Scale, anchor, days_to_write, svg

SHOWN = ("enrolled", "owned", "digital")
WHOLE = 1.0
LABEL_HEIGHT = 11
"""Two figures written at the ends of lines are at least so far apart."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    x: float
    y: float
    day: date
    share: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """A share: its points, and where its newest figure is written."""

    name: str
    points: str
    reported: tuple[Reported, ...]
    label_y: float

    @property
    def newest(self) -> Reported:
        return self.reported[-1]

    @property
    def anchor(self) -> str:
        return anchor(self.newest.x, 40)


@dataclass(frozen=True, kw_only=True)
class Progress:
    lines: tuple[Line, ...]
    aims: tuple[tuple[float, float], ...]
    """Where the aims of the digital identities lie, and which shares they are; none where no such share is shown."""
    zero: float
    figures: tuple[tuple[float, float], ...]
    days: tuple[tuple[float, date], ...]


History = Iterable[tuple[date, Mapping[str, Share], Any]]


def progress(history: History, aims: Sequence[float]) -> Progress | None:
    """The history of an office's shares as a picture; None where no share was reported on two days."""
    by_name: dict[str, list[tuple[date, float]]] = {}
    for day, shares, _ in sorted(history, key=lambda each: each[0]):
        for name in SHOWN:
            if name in shares:
                by_name.setdefault(name, []).append((day, shares[name].share))
    if not any(len(told) > 1 for told in by_name.values()):
        return None
    days = [day for told in by_name.values() for day, _ in told]
    most = max(WHOLE, *(share for told in by_name.values() for _, share in told))
    scale = Scale.over(days, most * 1.05)
    return Progress(
        lines=_apart([_line(name, by_name[name], scale) for name in SHOWN if name in by_name]),
        aims=tuple((scale.y(aim), aim) for aim in aims) if "digital" in by_name else (),
        zero=scale.y(0),
        figures=tuple((scale.y(figure), figure) for figure in (0, 0.25, 0.5, 0.75, 1)),
        days=days_to_write(scale, scale.last),
    )


def _line(name: str, told: Sequence[tuple[date, float]], scale: Scale) -> Line:
    reported = tuple(Reported(x=scale.x(day), y=scale.y(share), day=day, share=share) for day, share in told)
    points = svg([(each.x, each.y) for each in reported])
    return Line(name=name, points=points, reported=reported, label_y=reported[-1].y - 6)


def _apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The same, with the figures at their ends moved down where two would lie on each other."""
    written: list[tuple[float, float]] = []
    moved: dict[str, float] = {}
    for line in sorted(lines, key=lambda line: line.label_y):
        close = [y for x, y in written if abs(x - line.newest.x) < 80 and line.label_y - y < LABEL_HEIGHT]
        moved[line.name] = max(close) + LABEL_HEIGHT + 12 if close else line.label_y
        written.append((line.newest.x, moved[line.name]))
    return tuple(
        Line(name=line.name, points=line.points, reported=line.reported, label_y=round(moved[line.name], 1))
        for line in lines
    )
