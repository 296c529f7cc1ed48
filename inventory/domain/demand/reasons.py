"""Reasons: what the demand is made up of, so that the parts add up to the whole."""

from __future__ import annotations

import numpy as np

from inventory.domain.demand.arrays import Counts, Numbers, by_pool

PRIOR_PRINTS = 50.0
"""Prints that an office must show before its own mix weighs as much as its pool's."""


def shares(prints: Counts, pools: Counts) -> Numbers:
    """(S,R) share of each reason, rows summing to 1, from prints by reason (S,R) and the pool of each series (S,).

    A Dirichlet prior around the pool's mix, worth PRIOR_PRINTS; a pool without a print leans on all reasons alike.
    """
    counts = prints.astype(np.float64)
    pool = by_pool(counts, pools) + 1.0
    mix = pool / pool.sum(axis=1, keepdims=True)
    found = counts + PRIOR_PRINTS * mix[pools]
    return found / found.sum(axis=1, keepdims=True)
