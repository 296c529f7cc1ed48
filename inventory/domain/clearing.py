"""How fast an office means to clear its print-ready backlog, and by how much digital identities lower its demand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from inventory.domain.errors import Invalid
from inventory.domain.quantities import check_quantity

MOST_DIGITAL = 0.9
SOURCE_LENGTH = 200


def check_rate(per_day: int | None, source: str, *, is_blank: bool) -> None:
    """`per_day` cards a working day, None for a backlog that nobody means to clear. Raises Invalid
    `clearing_of_blanks_only`, `rate_needs_source`, and what `check_quantity` raises."""
    if not is_blank:
        raise Invalid("clearing_of_blanks_only")
    if per_day is not None:
        check_quantity(per_day)
    if not source.strip():
        raise Invalid("rate_needs_source")


def check_digital(share: float, source: str) -> None:
    """`share` of usual demand that digital identities take away, 0 for none. Raises Invalid `digital_share_range`,
    `rate_needs_source`."""
    if not 0 <= share <= MOST_DIGITAL:
        raise Invalid("digital_share_range")
    if not source.strip():
        raise Invalid("rate_needs_source")


def parts_of_backlog(backlog: int, rates: Mapping[int, int]) -> dict[int, int]:
    """An office's one backlog over the items that clear it, by their rates, so that nobody is counted twice."""
    total = sum(rates.values())
    parts: dict[int, int] = {}
    left, rate_left = backlog, total
    for item_id, rate in sorted(rates.items()):
        parts[item_id] = round(Fraction(left * rate, rate_left))
        left -= parts[item_id]
        rate_left -= rate
    return parts
