"""Which tables are only ever added to, and from which nothing is ever taken: in one place, for the rights of the
database's role. Triggers say the first to whoever has more rights."""

from __future__ import annotations

APPEND_ONLY = ("movements", "movement_ranges", "seals", "audit_entries", "documents")
"""No row is changed or deleted once it is written; a trigger refuses both, whoever asks."""

KEPT = (
    "api_tokens",
    "balances",
    "boards",
    "closing_exceptions",
    "daily_totals",
    "day_closings",
    "deliveries",
    "delivery_request_lines",
    "delivery_requests",
    "destruction_lines",
    "destructions",
    "items",
    "job_runs",
    "memberships",
    "offices",
    "people",
    "plan_steps",
    "proposals",
    "service_accounts",
    "stocktake_lines",
    "stocktakes",
    "transfer_lines",
    "transfers",
)
"""Rows change, none is ever deleted."""
