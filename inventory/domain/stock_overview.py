"""How many offices are shown beside each other: in which order, and on one common scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

SORTS = ("level", "office", "store", "transit", "to_come", "use", "cover", "next", "out")
FIRST_DOWN = frozenset({"level", "store", "transit", "to_come", "use"})
"""Columns whose largest is what people look for first; of the others it is the smallest."""
PER_PAGE = 50
WORDS_LENGTH = 120
SCALES = (5, 10, 20, 40, 60, 90)
"""Working days that a bar of cover may be long."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Which offices, and in which order. `level` and `words` look among all offices below, as `everything` does."""

    sort: str = "level"
    down: bool = True
    level: str = ""
    words: str = ""
    everything: bool = False
    page: int = 1

    @property
    def flat(self) -> bool:
        """A list of single offices, instead of those right below with all that is below them."""
        return self.everything or bool(self.level or self.words)

    def sorted_by(self, sort: str) -> Asking:
        """After a click on a heading: the other way round where it is sorted by it already; from the first page."""
        down = not self.down if sort == self.sort else sort in FIRST_DOWN
        return replace(self, sort=sort, down=down, page=1)


def scale_of(covers: Iterable[float | None], marks: Iterable[float | None]) -> int:
    """How many working days all bars of a page can be long: what nine in ten of the covers and all marks fit in, so
    that one office with stock for years does not press the others flat."""
    known = sorted(cover for cover in covers if cover is not None)
    usual = known[math.ceil(len(known) * 0.9) - 1] if known else 0.0
    needed = max([usual, *(mark for mark in marks if mark is not None)], default=0.0)
    return next((scale for scale in SCALES if scale >= needed), SCALES[-1])
