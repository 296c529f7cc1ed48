"""Seals: a chain of digests over movements and audit, so that what was recorded cannot be changed unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from inventory.domain import audit

GENESIS = "0" * 64
"""What the first seal is chained to."""

SEALED = (
    "id",
    "office_id",
    "item_id",
    "seq",
    "kind",
    "reason",
    "quantity",
    "served_waiting",
    "effective_on",
    "recorded_at",
    "actor_id",
    "request_id",
    "request_line",
    "request_digest",
    "reverses_id",
    "delivery_id",
    "transfer_id",
    "origin",
    "note",
)
"""The figures of a movement that are sealed, in this order. After them its number ranges, of an item whose numbers
are kept; a movement without is sealed as it was before there were any."""
SEALED_WHERE_SET = ("proposal_id", "shift", "happened_at", "stocktake_id", "import_id")
"""Figures that came later: sealed where they are set, so that seals made before them still fit their movements."""


def canonical(movement: Mapping[str, object]) -> bytes:
    """A movement as the bytes that are sealed: each figure by name, length and text, so that none runs into another."""
    parts = []
    for name in (*SEALED, *SEALED_WHERE_SET):
        value = movement[name]
        if value is None and name in SEALED_WHERE_SET:
            continue
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat(timespec="microseconds")
        text = "" if value is None else str(value)
        parts.append(f"{name}:{'-' if value is None else len(text)}:{text}")
    if movement.get("ranges"):
        parts.append(f"ranges:{movement['ranges']}")
    return "\n".join(parts).encode()


def seal(
    previous: str, movements: Iterable[Mapping[str, object]], entries: Iterable[Mapping[str, object]] = ()
) -> tuple[str, int, int]:
    """The digest (SHA-256, hex) over movements, then audit entries, each in the order of their ids, chained to
    `previous`; and how many of both. Without entries it is what it was before there were any."""
    digest = hashlib.sha256(previous.encode())
    counts = [0, 0]
    for number, rows in enumerate((map(canonical, movements), map(audit.canonical, entries))):
        for row in rows:
            digest.update(len(row).to_bytes(8, "big"))
            digest.update(row)
            counts[number] += 1
    return digest.hexdigest(), counts[0], counts[1]
