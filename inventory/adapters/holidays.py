"""Indonesia's public holidays and days of collective leave, from the `holidays` library."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date


def indonesian(years: Iterable[int]) -> dict[date, str]:
    """Every public holiday and day of collective leave (cuti bersama) in `years`, with its Indonesian name.

    Days that depend on the moon are the library's forecast until the government's decree for that year is in it.
    """
    import holidays  # slow to import, and only wanted where a projection is made

    found = holidays.country_holidays("ID", years=list(years), categories=("public", "government"), language="id")
    return dict(found.items())
