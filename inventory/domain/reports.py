"""The arithmetic of a month: per item and place, opening + changes = closing, and nothing is left over.

A month is told in four accounts, one for each place in which blanks can lie at its end: the store, the spoiled ones
that wait for their destruction, those on their way to another office, and the missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import EFFECTS, NOTHING, Effect, effect_of

ACCOUNTS = ("store", "spoiled", "transit", "missing")

Sums = Mapping[tuple[str, str], int]
"""What movements add up to: (kind, reason) → quantity, reversals taken off."""


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month of an office."""

    year: int
    month: int

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        return self.next().first - timedelta(days=1)

    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def before(self) -> Month:
        return Month.of(self.first - timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month written as 2024-05. Raises Invalid `month_format`."""
        year, _, month = text.partition("-")
        digits = len(year) == 4 and len(month) == 2 and (year + month).isascii() and (year + month).isdigit()
        if not digits or not 1 <= int(month) <= 12 or not 1 <= int(year) <= 9998:
            raise Invalid("month_format")
        return cls(int(year), int(month))


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the movements of one kind and reason did to a place in a month; negative when they took from it."""

    kind: str
    reason: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """One place in one month: `opening` and all `changes` are exactly `closing`."""

    place: str
    opening: int
    changes: tuple[Change, ...]
    closing: int

    def __post_init__(self) -> None:
        expected = self.opening + sum(change.quantity for change in self.changes)
        if expected != self.closing:
            raise ValueError(f"{self.place}: {expected} expected, {self.closing} found")

    @property
    def came(self) -> int:
        return sum(change.quantity for change in self.changes if change.quantity > 0)

    @property
    def went(self) -> int:
        return -sum(change.quantity for change in self.changes if change.quantity < 0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure of a month that is not what it was: `kind` is "opening", "closing", or a movement's with its reason."""

    item: str
    place: str
    kind: str
    reason: str
    then: int
    now: int


def check_over(month: Month, today: date) -> None:
    """A month is reported when it is over at the office. Raises Refusal `month_not_over`."""
    if today <= month.last:
        raise Refusal("month_not_over", last=month.last, today=today)


def total_of(sums: Sums) -> Effect:
    """What movements together did to every figure."""
    total = NOTHING
    for (kind, reason), quantity in sums.items():
        total = total.plus(effect_of(kind, reason).times(quantity))
    return total


def accounts_of(opening: Effect, sums: Sums, closing: Effect) -> tuple[Account, ...]:
    """The four accounts of a month, in the order of ACCOUNTS, their changes in the ledger's own order.

    Raises ValueError when a figure does not come to its closing: then the books are wrong, and no report is made.
    """
    if opening.plus(total_of(sums)) != closing:
        raise ValueError(f"{opening} and {dict(sums)} do not come to {closing}")
    return tuple(
        Account(
            place=place,
            opening=getattr(opening, place),
            changes=_changes(place, sums),
            closing=getattr(closing, place),
        )
        for place in ACCOUNTS
    )


def added(*parts: Sums) -> dict[tuple[str, str], int]:
    """Sums together; what comes to nothing is left out."""
    total: dict[tuple[str, str], int] = {}
    for part in parts:
        for key, quantity in part.items():
            total[key] = total.get(key, 0) + quantity
    return {key: quantity for key, quantity in total.items() if quantity}


def rows_of(place: str, months: Iterable[Iterable[Account]]) -> list[tuple[str, str]]:
    """The kinds and reasons for which any of several items has a change in `place`: the rows of a table."""
    found = {
        (change.kind, change.reason)
        for accounts in months
        for account in accounts
        if account.place == place
        for change in account.changes
    }
    return [(kind.value, reason) for kind, reason in EFFECTS if (kind.value, reason) in found]


def differences(then: Mapping[str, Iterable[Account]], now: Mapping[str, Iterable[Account]]) -> list[Difference]:
    """What differs between two tellings of a month, each by item, in the order of the accounts."""
    found = []
    for item in dict.fromkeys((*now, *then)):
        before, after = _figures(then.get(item, ())), _figures(now.get(item, ()))
        for line in sorted({*before, *after}, key=_order):
            was, is_now = before.get(line, 0), after.get(line, 0)
            if was != is_now:
                place, kind, reason = line
                found.append(Difference(item=item, place=place, kind=kind, reason=reason, then=was, now=is_now))
    return found


def _figures(accounts: Iterable[Account]) -> dict[tuple[str, str, str], int]:
    figures: dict[tuple[str, str, str], int] = {}
    for account in accounts:
        figures[account.place, "opening", ""] = account.opening
        figures[account.place, "closing", ""] = account.closing
        for change in account.changes:
            figures[account.place, change.kind, change.reason] = change.quantity
    return figures


_LINES = [("opening", ""), *((kind.value, reason) for kind, reason in EFFECTS), ("closing", "")]


def _order(line: tuple[str, str, str]) -> tuple[int, int]:
    place, kind, reason = line
    return ACCOUNTS.index(place), _LINES.index((kind, reason))


def _changes(place: str, sums: Sums) -> tuple[Change, ...]:
    changes = []
    for (kind, reason), effect in EFFECTS.items():
        quantity = getattr(effect, place) * sums.get((kind.value, reason), 0)
        if quantity:
            changes.append(Change(kind=kind.value, reason=reason, quantity=quantity))
    return tuple(changes)
