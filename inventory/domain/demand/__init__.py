"""Projected demand for blank cards: a distribution per office and item, over lead time and review period.

The recipe, in the order of project(); each step is a module of this package:
1. evidence: open, recorded days that were neither stock-outs nor rationed; prints for requests that had waited are
   left out.
2. profile: weekday weights shrunk to the pool, a pooled factor for the first day after a closure, and what seasons
   did beside the weeks around them (`local`).
3. bursts: single days far above the usual, as an outreach brings them, set apart with their rate and size.
4. levels: exponential weights at several half-lives and where they are heading, today and at past origins, each
   origin knowing only what was known then.
5. blend: these experts weighted by how well they foretold the windows after the past origins.
6. spread: noise of single days, and how wrong levels were over those windows, shrunk to offices of like volume.
   An office with a few days only borrows from its relatives (`newcomers`).
7. mixture: negative binomial demand around no burst, one, two, or more.
8. outlook: demand by calendar day, reorder point, suggested order, chance and day of the stock-out.
Beside them `reasons` says what the demand is made up of.

S is the number of series (one per office and item), T the days of history, H the days ahead. A day's exposure
is its weekday weight times the factors of its kind, 0 when closed: the mean is about 1 per open day, so that level
times exposure is expected demand. Everything is arrays in and arrays out, without a clock or chance: twice the same
input gives the same bits.
"""

from inventory.domain.demand.inputs import DEFAULTS, Ahead, History, Horizon, Position, Seasons, Settings
from inventory.domain.demand.projection import (
    FanParts,
    Projection,
    at_open_days,
    chances_despite,
    chances_of,
    fan,
    fan_of,
    project,
    project_by_part,
)

__all__ = [
    "DEFAULTS",
    "Ahead",
    "FanParts",
    "History",
    "Horizon",
    "Position",
    "Projection",
    "Seasons",
    "Settings",
    "at_open_days",
    "chances_despite",
    "chances_of",
    "fan",
    "fan_of",
    "project",
    "project_by_part",
]
