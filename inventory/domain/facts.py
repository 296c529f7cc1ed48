"""What the stored facts of a projection say, whenever they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any


def is_known(facts: Mapping[str, Any]) -> bool:
    """Whether there is a projection at all: from the office's own days, from its relatives' where its own are few,
    or from a stated rate.

    Facts say so as `known`. Those of before it was kept have a level just where there was a projection.
    """
    known = facts.get("known")
    return facts.get("level_per_day") is not None if known is None else bool(known)


def usual_use(facts: Mapping[str, Any]) -> float | None:
    """Mean demand per working day; None where nothing is known. A rate too small for its one decimal place is taken
    from the demand over the horizon."""
    if not is_known(facts):
        return None
    level = float(facts.get("level_per_day") or 0.0)
    days = int(facts.get("lead_days") or 0) + int(facts.get("review_days") or 0)
    return level or float(facts.get("mean_horizon") or 0) / max(1, days)


def dues(facts: Mapping[str, Any]) -> list[tuple[date, int]]:
    """What is under way and counted on: the day from whose opening it is there and how many, the soonest first."""
    return sorted((date.fromisoformat(day), int(quantity)) for day, quantity in facts.get("due") or [] if day)


def next_due(facts: Mapping[str, Any]) -> date | None:
    """The first day on which something that is under way is counted on; None where nothing is."""
    return next((day for day, _quantity in dues(facts)), None) if facts.get("due") else None
