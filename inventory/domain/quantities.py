"""Whole, positive, bounded quantities, and how people write them."""

from __future__ import annotations

import re

from inventory.domain.errors import Invalid

MAX_QUANTITY = 10_000_000
"""More than the country prints in half a year; a larger entry is a slip of the finger."""

_PLAIN = re.compile(r"[0-9]{1,12}", re.ASCII)


def parse_quantity(text: str, group_separator: str, limit: int = MAX_QUANTITY) -> int:
    """The whole number that `text` says in a language whose thousands are grouped by `group_separator`.

    "1.639" is 1639 where "." groups (Indonesian) and refused where "," does (English), because there it is a
    fraction. Spaces around are ignored. Zero is allowed; see `check_quantity` for lines that must be positive.
    `limit` is the largest number that makes sense.

    Raises Invalid: `quantity_missing`, `quantity_negative`, `quantity_fraction`, `quantity_not_a_number`,
    `quantity_too_large`.
    """
    text = text.strip()
    if not text:
        raise Invalid("quantity_missing")
    grouped = re.compile(rf"[1-9][0-9]{{0,2}}(?:{re.escape(group_separator)}[0-9]{{3}})+", re.ASCII)
    if grouped.fullmatch(text):
        text = text.replace(group_separator, "")
    if _PLAIN.fullmatch(text):
        return _bounded(int(text), limit)
    raise Invalid(_why_not(text), text=text[:40], limit=limit)


def check_quantity(quantity: int) -> int:
    """`quantity` itself when it is a whole number from 1 to MAX_QUANTITY.

    Raises Invalid: `quantity_not_positive`, `quantity_too_large`.
    """
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        raise Invalid("quantity_not_positive")
    return _bounded(quantity)


def _bounded(number: int, limit: int = MAX_QUANTITY) -> int:
    if number > limit:
        raise Invalid("quantity_too_large", limit=limit)
    return number


def _why_not(text: str) -> str:
    if re.fullmatch(r"[-−–]\s*[0-9.,]+", text, re.ASCII):
        return "quantity_negative"
    if re.fullmatch(r"[0-9]{13,}", text, re.ASCII):
        return "quantity_too_large"
    if re.fullmatch(r"[0-9]+[.,][0-9]+", text, re.ASCII):
        return "quantity_fraction"
    return "quantity_not_a_number"
