"""The other ways of forecasting the same windows: what offices do, and the models of statsforecast.

All of them see what the projection sees: the days that say something about demand, without those of stock-outs and
without the prints for people who had waited. The models are given sums of as many such days as the horizon has.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand import History

Numbers = NDArray[np.float64]

LEVELS = [50, 80, 90, 95]
PROBABILITIES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
MONTH = 21
"""Open days in a month, near enough."""
SEEN_MONTHS = 3
CONFORMAL = ("AutoETS", "AutoTheta", "TSB", "IMAPA")
"""The models whose intervals are conformal."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """quantiles (S,Q) of the sum over the horizon, at PROBABILITIES; the seconds of processor that they took."""

    name: str
    quantiles: Numbers
    seconds: float


def usable_days(history: History) -> list[Numbers]:
    """For each series, new requests on the days that count, the oldest first."""
    usable = history.open & history.known & ~history.stocked_out
    new = history.demand - history.served_waiting
    return [new[row, usable[row]].astype(np.float64) for row in range(history.series)]


def buckets(days: list[Numbers], length: int) -> list[Numbers]:
    """Sums of `length` days each, so cut that the last one ends with the last day."""
    found = []
    for values in days:
        whole = values[len(values) % length :]
        found.append(whole.reshape(-1, length).sum(axis=1))
    return found


def simple(days: list[Numbers], length: int) -> list[Forecast]:
    """Average monthly consumption with a normal interval, and seasonal naive: the last window comes again."""
    return [_average(days, length), _naive(days, length)]


def _average(days: list[Numbers], length: int) -> Forecast:
    """Three months' average; its interval from the scatter of single days, taken as independent."""
    started = time.process_time()
    recent = [values[-SEEN_MONTHS * MONTH :] for values in days]
    mean = length * np.array([values.mean() for values in recent])
    deviation = np.sqrt(length) * np.array([values.std(ddof=1) for values in recent])
    return Forecast("average monthly consumption", _normal(mean, deviation), time.process_time() - started)


def _naive(days: list[Numbers], length: int) -> Forecast:
    """As in the same weeks before; its interval from how far one window was from the one before it."""
    started = time.process_time()
    sums = buckets(days, length)
    last = np.array([values[-1] for values in sums])
    deviation = np.array([np.sqrt(np.mean(np.diff(values) ** 2)) for values in sums])
    return Forecast("seasonal naive", _normal(last, deviation), time.process_time() - started)


def _normal(mean: Numbers, deviation: Numbers) -> Numbers:
    from inventory.domain.distributions import normal_quantile

    return np.maximum(mean[:, None] + deviation[:, None] * normal_quantile(np.array(PROBABILITIES)), 0.0)


def statistical(days: list[Numbers], length: int, only: tuple[str, ...] = ()) -> list[Forecast]:
    """AutoETS, AutoTheta, TSB and IMAPA on sums of `length` days, one step ahead; some of them when named.

    Intervals are conformal (those of CONFORMAL); AutoETS and AutoTheta are tried with their own as well.
    """
    from statsforecast.models import IMAPA, TSB, AutoETS, AutoTheta  # pyright: ignore[reportMissingImports]
    from statsforecast.utils import ConformalIntervals  # pyright: ignore[reportMissingImports]

    makers: dict[str, Any] = {
        "AutoETS": lambda windows: AutoETS(season_length=1, prediction_intervals=windows),
        "AutoETS, own interval": lambda windows: AutoETS(season_length=1),
        "AutoTheta": lambda windows: AutoTheta(season_length=1, prediction_intervals=windows),
        "AutoTheta, own interval": lambda windows: AutoTheta(season_length=1),
        "TSB": lambda windows: TSB(alpha_d=0.2, alpha_p=0.2, prediction_intervals=windows),
        "IMAPA": lambda windows: IMAPA(prediction_intervals=windows),
    }
    sums = buckets(days, length)
    found = []
    for name, make in makers.items():
        if only and name not in only:
            continue
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = [_one_step(make, ConformalIntervals, values) for values in sums]
        found.append(Forecast(name, np.array(rows), time.process_time() - started))
    return found


def _one_step(make: Any, intervals: Any, values: Numbers) -> list[float]:
    windows = intervals(n_windows=max(2, min(20, values.size - 10)), h=1)
    answer = make(windows).forecast(y=values, h=1, level=LEVELS)
    low = [float(answer[f"lo-{level}"][0]) for level in reversed(LEVELS)]
    high = [float(answer[f"hi-{level}"][0]) for level in LEVELS]
    return [max(0.0, value) for value in (*low, float(answer["mean"][0]), *high)]
