"""Stocktakes: counted blind, counted again where the count differs, approved and booked by somebody else."""

from __future__ import annotations

from inventory.services.stocktakes.book import MOVEMENTS_SHOWN, Compared, Since
from inventory.services.stocktakes.counting import begin, count, recount
from inventory.services.stocktakes.deciding import (
    Waiting,
    approve,
    cancel,
    correct,
    differences_waiting,
    for_approval,
    known_now,
)
from inventory.services.stocktakes.reading import (
    Booked,
    StocktakeLineView,
    StocktakeView,
    asks_for_time,
    get,
    newest,
    of_office,
    took_part,
)

__all__ = [
    "MOVEMENTS_SHOWN",
    "Booked",
    "Compared",
    "Since",
    "StocktakeLineView",
    "StocktakeView",
    "Waiting",
    "approve",
    "asks_for_time",
    "begin",
    "cancel",
    "correct",
    "count",
    "differences_waiting",
    "for_approval",
    "get",
    "known_now",
    "newest",
    "of_office",
    "recount",
    "took_part",
]
