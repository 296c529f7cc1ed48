"""What the stored facts of a projection say, whenever they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_known(facts: Mapping[str, Any]) -> bool:
    """Whether there is a projection at all: from the office's own days, from its relatives' where its own are few,
    or from a stated rate.

    Facts say so as `known`. Those of before it was kept have a level just where there was a projection.
    """
    known = facts.get("known")
    return facts.get("level_per_day") is not None if known is None else bool(known)
