"""How good a set of quantiles was, once the sums that they foretold are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def quantile_losses(seen: ArrayLike, quantiles: Numbers, probabilities: tuple[float, ...]) -> Numbers:
    """(S,Q) the quantile (pinball) loss, Koenker and Bassett 1978, of each quantile (S,Q)."""
    miss = np.asarray(seen, dtype=np.float64)[:, None] - quantiles
    wanted = np.array(probabilities)
    return np.maximum(wanted * miss, (wanted - 1.0) * miss)


def coverage(seen: ArrayLike, quantiles: Numbers, probabilities: tuple[float, ...], share: float) -> Numbers:
    """(S,) whether the sum lay within the central band that should hold that share of cases."""
    low = probabilities.index(round((1 - share) / 2, 6))
    high = probabilities.index(round((1 + share) / 2, 6))
    at = np.asarray(seen)
    return ((at >= quantiles[:, low]) & (at <= quantiles[:, high])).astype(np.float64)
