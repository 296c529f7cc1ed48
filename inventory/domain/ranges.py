"""Number ranges: the serial numbers printed on blanks, as they come and go in runs.

A number is a prefix and digits: A100001. The count of digits is part of its name, since A1 and A001 are two cards; so a
series is a prefix and a width, and only numbers of one series follow each other.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from inventory.domain.errors import Invalid
from inventory.domain.quantities import MAX_QUANTITY

PREFIX_LENGTH = 8
MAX_WIDTH = 12
MAX_RANGES = 200
"""Of one entry: who has more has mistyped, or counts boxes that are better entered one by one."""
TEXT_LENGTH = 8_000
BLOCK = 1_000
"""The history keeps ranges cut at multiples of this. Ranges of different movements overlap and nest, so an index finds
those around a number only when it knows how far back one can start."""

_PREFIX = r"(?:[A-Z0-9]{0,7}[A-Z])?"
_NUMBER = re.compile(rf"({_PREFIX})([0-9]{{1,{MAX_WIDTH}}})", re.ASCII)
_UNTIL = re.compile(r"\s*[-–—]\s*|\s+S(?:\.\s?/?|/)?D\.?\s+|\s+SAMPAI(?:\s+DENGAN)?\s+|\s+TO\s+")
_BETWEEN = re.compile(r"[,;\s]+")


class Series(NamedTuple):
    prefix: str
    width: int


class Range(NamedTuple):
    """Numbers from `first` to `last`, both included. Ranges of one series sort by where they begin."""

    prefix: str
    width: int
    first: int
    last: int

    @property
    def series(self) -> Series:
        return Series(self.prefix, self.width)

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def overlaps(self, other: Range) -> bool:
        return self.series == other.series and self.first <= other.last and other.first <= self.last

    def part(self, first: int, last: int) -> Range:
        return self._replace(first=first, last=last)

    def __str__(self) -> str:
        ends = (self.first,) if self.first == self.last else (self.first, self.last)
        return "–".join(written(self.series, number) for number in ends)


Ranges = tuple[Range, ...]


def written(series: Series, number: int) -> str:
    """A number as it stands on the card."""
    return f"{series.prefix}{number:0{series.width}d}"


def parse_number(text: str) -> tuple[Series, int]:
    """One number as people type it. Raises Invalid `range_unreadable`."""
    found = _NUMBER.fullmatch(text.strip().upper())
    if found is None:
        raise Invalid("range_unreadable", text=text.strip()[:40])
    return Series(found[1], len(found[2])), int(found[2])


def parse_ranges(text: str) -> Ranges:
    """Ranges as people type them: "A100001-A100500, A100700", also with "–", "s.d.", spaces and lines between them.

    The second end may leave out the prefix. What comes back is sorted, and neighbours are joined. Raises Invalid
    `range_unreadable`, `range_backwards`, `range_series_differ`, `range_twice`, `ranges_too_many`, `text_too_long`,
    `quantity_too_large`.
    """
    if len(text) > TEXT_LENGTH:
        raise Invalid("text_too_long", limit=TEXT_LENGTH)
    # Runs of spaces first: looking for words between them would take their square.
    joined = _UNTIL.sub("-", f" {' '.join(text.upper().split())} ")
    parts = [part for part in _BETWEEN.split(joined) if part]
    return check_ranges(tuple(_parse_range(part) for part in parts))


def check_ranges(ranges: Iterable[Range]) -> Ranges:
    """The same numbers as sorted ranges with neighbours joined: the one form that the ledger takes.

    Raises Invalid `range_twice` for a number that stands in two of them, `ranges_too_many`, `quantity_too_large`.
    """
    found = tuple(sorted(ranges))
    for before, after in itertools.pairwise(found):
        if before.overlaps(after):
            raise Invalid("range_twice", number=written(after.series, after.first))
    found = joined(found)
    if len(found) > MAX_RANGES:
        raise Invalid("ranges_too_many", limit=MAX_RANGES)
    if count(found) > MAX_QUANTITY:
        raise Invalid("quantity_too_large", limit=MAX_QUANTITY)
    return found


def check_agreement(item: str, numbered: bool, quantity: int, ranges: Ranges) -> None:
    """Quantity and ranges say the same, and only where numbers are kept. `quantity` may be negative (a reversal).

    Raises Invalid `ranges_missing`, `ranges_differ`, `ranges_not_kept`.
    """
    if not numbered:
        if ranges:
            raise Invalid("ranges_not_kept", item=item)
        return
    if not ranges:
        raise Invalid("ranges_missing", item=item, asked=abs(quantity))
    if count(ranges) != abs(quantity):
        raise Invalid("ranges_differ", item=item, asked=abs(quantity), given=count(ranges))


def count(ranges: Iterable[Range]) -> int:
    """How many numbers there are in ranges that do not overlap."""
    return sum(each.size for each in ranges)


def write_ranges(ranges: Iterable[Range]) -> str:
    """For people: "A100001–A100500, A100700". `parse_ranges` reads it back."""
    return ", ".join(map(str, ranges))


def joined(ranges: Sequence[Range]) -> Ranges:
    """Sorted ranges that do not overlap, with neighbours made one."""
    found: list[Range] = []
    for each in ranges:
        if found and found[-1].series == each.series and found[-1].last + 1 == each.first:
            found[-1] = found[-1].part(found[-1].first, each.last)
        else:
            found.append(each)
    return tuple(found)


def less(ranges: Iterable[Range], taken: Iterable[Range]) -> Ranges:
    """The numbers in `ranges` that are not in `taken`."""
    left = sorted(ranges)
    for gone in taken:
        left = [piece for each in left for piece in _cut(each, gone)]
    return joined(left)


def less_part(ranges: Ranges, part: Ranges) -> Ranges:
    """`ranges` without `part`, all of which has to be in it. Raises Invalid `range_not_part`."""
    strangers = less(part, ranges)
    if strangers:
        raise Invalid("range_not_part", ranges=write_ranges(strangers[:3]))
    return less(ranges, part)


def common(ranges: Iterable[Range], others: Sequence[Range]) -> Ranges:
    """The numbers that are in both."""
    found = [
        each.part(max(each.first, other.first), min(each.last, other.last))
        for each in ranges
        for other in others
        if each.overlaps(other)
    ]
    return joined(sorted(found))


def gaps(ranges: Iterable[Range]) -> Ranges:
    """What is left out between ranges of one series that do not overlap."""
    pairs = itertools.pairwise(joined(sorted(ranges)))
    return tuple(
        before.part(before.last + 1, after.first - 1) for before, after in pairs if before.series == after.series
    )


def passed_over(unused: Iterable[Range], used: Iterable[Range]) -> Ranges:
    """The unused numbers below the highest used one of their series."""
    highest: dict[Series, Range] = {}
    for each in sorted(used):
        highest[each.series] = max(each, highest.get(each.series, each), key=lambda found: found.last)
    below = [
        each.part(each.first, min(each.last, highest[each.series].last - 1))
        for each in unused
        if each.series in highest
    ]
    return joined(sorted(each for each in below if each.size > 0))


def blocks(each: Range) -> Ranges:
    """The range cut where the history cuts it, at multiples of BLOCK."""
    starts = [each.first, *range((each.first // BLOCK + 1) * BLOCK, each.last + 1, BLOCK)]
    ends = [start - 1 for start in starts[1:]] + [each.last]
    return tuple(each.part(first, last) for first, last in zip(starts, ends, strict=True))


def _parse_range(text: str) -> Range:
    ends = text.split("-")
    if len(ends) > 2 or not all(ends):
        raise Invalid("range_unreadable", text=text[:40])
    series, first = parse_number(ends[0])
    last_series, last = parse_number(ends[-1])
    if last_series != series and last_series != Series("", series.width):
        raise Invalid("range_series_differ", first=ends[0][:40], last=ends[-1][:40])
    if last < first:
        raise Invalid("range_backwards", first=ends[0][:40], last=ends[-1][:40])
    return Range(*series, first, last)


def _cut(each: Range, gone: Range) -> list[Range]:
    if not each.overlaps(gone):
        return [each]
    pieces = [each.part(each.first, gone.first - 1), each.part(gone.last + 1, each.last)]
    return [piece for piece in pieces if piece.size > 0]


class Whereabouts:
    """Where each number of one item is, as replaying movements tells it. A state is whatever the caller compares."""

    def __init__(self) -> None:
        self._by_series: dict[Series, list[tuple[int, int, Any]]] = {}

    def move(self, moved: Range, target: Any) -> Sequence[tuple[Range, Any]]:
        """Put `moved` into the state `target`; the pieces of it that were known before, with their states."""
        held = self._by_series.setdefault(moved.series, [])
        begin = max(bisect_right(held, moved.first, key=lambda each: each[0]) - 1, 0)
        before, kept = [], []
        end = begin
        while end < len(held) and held[end][0] <= moved.last:
            first, last, state = held[end]
            whole = moved.part(first, last)
            kept += [(piece.first, piece.last, state) for piece in _cut(whole, moved)]
            if whole.overlaps(moved):
                before.append((moved.part(max(first, moved.first), min(last, moved.last)), state))
            end += 1
        held[begin:end] = sorted([*kept, (moved.first, moved.last, target)], key=lambda each: each[0])
        return before

    def all(self) -> Iterable[tuple[Range, Any]]:
        """Every known range with its state; neighbours in the same state are one."""
        for series, held in self._by_series.items():
            run: tuple[int, int, Any] | None = None
            for first, last, state in held:
                if run is not None and run[1] + 1 == first and run[2] == state:
                    run = (run[0], last, state)
                    continue
                if run is not None:
                    yield Range(*series, run[0], run[1]), run[2]
                run = (first, last, state)
            if run is not None:
                yield Range(*series, run[0], run[1]), run[2]
