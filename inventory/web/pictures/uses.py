"""What an item was used up for: a column for each week or day, its parts stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from inventory.services.series import Usage, Used
from inventory.web.pictures.scales import BOTTOM, HEIGHT, LABEL, LEFT, RIGHT, TOP, WIDTH, round_figures

GAP = 0.25
"""Share of a column's place that is left between two of them."""
WIDEST = 30.0


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a column."""

    part: str
    y: float
    height: float
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """A week or a day: from where to where its place goes, its parts from the bottom up."""

    left: float
    place: float
    x: float
    width: float
    top: float
    used: Used
    blocks: tuple[Block, ...]

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, kw_only=True)
class Stacked:
    columns: tuple[Column, ...]
    zero: float
    figures: tuple[tuple[float, int], ...]
    days: tuple[tuple[float, date], ...]


def stacked(usage: Usage) -> Stacked | None:
    """None where nothing was used up."""
    most = max((each.total for each in usage.used), default=0)
    if not most:
        return None
    top = max(most, 4) * 1.05
    place = (WIDTH - LEFT - RIGHT) / len(usage.used)
    columns = tuple(_column(each, number, place, top, usage.parts) for number, each in enumerate(usage.used))
    return Stacked(
        columns=columns,
        zero=_y(0, top),
        figures=tuple((_y(figure, top), figure) for figure in round_figures(top)),
        days=_days(columns),
    )


def _y(figure: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - figure / top * (HEIGHT - TOP - BOTTOM), 1)


def _column(used: Used, number: int, place: float, top: float, parts: Sequence[str]) -> Column:
    width = min(place * (1 - GAP), WIDEST)
    blocks, below = [], 0
    for part in parts:
        quantity = used.by_part.get(part, 0)
        if quantity:
            y = _y(below + quantity, top)
            blocks.append(Block(part=part, y=y, height=round(_y(below, top) - y, 1), quantity=quantity))
        below += quantity
    return Column(
        left=round(LEFT + number * place, 1),
        place=round(place, 1),
        x=round(LEFT + (number + 0.5) * place - width / 2, 1),
        width=round(width, 1),
        top=_y(below, top),
        used=used,
        blocks=tuple(blocks),
    )


def _days(columns: Sequence[Column]) -> tuple[tuple[float, date], ...]:
    """The first days of some columns, none so close to another that they would overlap, nor to the edge, where it
    would have to stand to the left of its column."""
    kept: list[tuple[float, date]] = []
    for column in columns:
        near_edge = column.middle > WIDTH - RIGHT - LABEL / 2
        if not kept or (column.middle - kept[-1][0] >= LABEL and not near_edge):
            kept.append((column.middle, column.used.first))
    return tuple(kept)
