"""What nobody looks after: transfers that do not arrive, spoiled blanks that are not destroyed, days that are not
closed, differences that nobody clears, ribbon or film that ends before the blanks, projections off the mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from inventory.db import db
from inventory.domain.alerts import Level, Subject, lateness_level
from inventory.domain.offices import local_day
from inventory.models import Item, Office, Transfer, TransferLine
from inventory.services import backtests, closings, destructions, stocktakes
from inventory.services.projections import StockProjection

TRANSFER_PATIENCE = 2
"""Calendar days that a transfer may be late before its alert is critical."""
CLOSING_PATIENCE = 2
"""Days left unclosed, or that a difference may wait, before the alert is critical."""
CALENDAR_DAYS = 7 / 5
"""Of a working day, on average."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something left undone at an office, with an item where it is about one; `facts` are plain JSON values, days in
    ISO format."""

    subject: Subject
    office_id: int
    item_id: int | None
    level: Level
    facts: dict[str, Any]


def findings(now: datetime, projected: Iterable[StockProjection]) -> list[Finding]:
    """What is left undone now, in every office: at most one finding per subject, office and item. `projected` are the
    projections of now.

    For the review alone: it looks at all offices, whoever asks.
    """
    return [
        *_overdue_transfers(now),
        *_spoiled_not_destroyed(now),
        *_days_not_closed(now),
        *_differences(now),
        *_count_differences(now),
        *_consumables_first(projected),
        *_models_worse(),
    ]


def _overdue_transfers(now: datetime) -> Iterator[Finding]:
    """Per sender and item: the sender answers for what is under way until the receiver has counted it."""
    rows = db.session.execute(
        select(Transfer.id, Transfer.sender_id, Transfer.expected_on, Office.time_zone)
        .add_columns(TransferLine.item_id, TransferLine.sent)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .join(Office, Office.id == Transfer.sender_id)
        .where(Transfer.status == "dispatched")
        .order_by(Transfer.expected_on, Transfer.id)
    )
    late: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        if row.expected_on < local_day(now, row.time_zone):
            late.setdefault((row.sender_id, row.item_id), []).append(row)
    for (office_id, item_id), found in late.items():
        days = (local_day(now, found[0].time_zone) - found[0].expected_on).days
        yield Finding(
            subject=Subject.OVERDUE_TRANSFER,
            office_id=office_id,
            item_id=item_id,
            level=lateness_level(days, TRANSFER_PATIENCE),
            facts={
                "quantity": sum(row.sent for row in found),
                "transfers": [row.id for row in found[:20]],
                "since": found[0].expected_on.isoformat(),
                "days_late": days,
            },
        )


def _spoiled_not_destroyed(now: datetime) -> Iterator[Finding]:
    """Critical after as long again as the office allows."""
    for each in destructions.overdue(now):
        yield Finding(
            subject=Subject.SPOILED_NOT_DESTROYED,
            office_id=each.office_id,
            item_id=each.item_id,
            level=lateness_level(each.days_late, (each.due_on - each.oldest_on).days),
            facts={
                "quantity": each.spoiled,
                "oldest_on": each.oldest_on.isoformat(),
                "since": each.due_on.isoformat(),
                "days_late": each.days_late,
            },
        )


def _days_not_closed(now: datetime) -> Iterator[Finding]:
    """Of offices that close their days; one that never began to is listed on the page of closings instead."""
    for office_id, days in closings.unclosed_days(now):
        yield Finding(
            subject=Subject.DAY_NOT_CLOSED,
            office_id=office_id,
            item_id=None,
            level=lateness_level(len(days), CLOSING_PATIENCE),
            facts={"days": len(days), "since": min(days).isoformat(), "days_late": len(days)},
        )


def _differences(now: datetime) -> Iterator[Finding]:
    """Per office: the differences found at closing that no manager has cleared by the next day."""
    for office_id, count, since, time_zone in closings.open_by_office():
        late = (local_day(now, time_zone) - since).days
        yield Finding(
            subject=Subject.DAY_DIFFERENCE,
            office_id=office_id,
            item_id=None,
            level=lateness_level(late, CLOSING_PATIENCE),
            facts={"quantity": count, "since": since.isoformat(), "days_late": late},
        )


def _count_differences(now: datetime) -> Iterator[Finding]:
    """Per office and item: what a count found missing or too much, and nobody has approved by the next day."""
    for each in stocktakes.differences_waiting():
        late = (local_day(now, each.time_zone) - each.counted_on).days
        yield Finding(
            subject=Subject.COUNT_DIFFERENCE,
            office_id=each.office_id,
            item_id=each.item_id,
            level=lateness_level(late, CLOSING_PATIENCE),
            facts={
                "quantity": abs(each.difference),
                "difference": each.difference,
                "stocktake": each.stocktake_id,
                "since": each.counted_on.isoformat(),
                "days_late": late,
            },
        )


def _consumables_first(projected: Iterable[StockProjection]) -> Iterator[Finding]:
    """Per office and ribbon or film that ends before a blank, and before a delivery after next would help: critical
    when one asked for today would come too late."""
    first: dict[tuple[int, str], tuple[date, StockProjection]] = {}
    for each in projected:
        named = each.facts.get("first_to_run_out")
        if named is None or named["item"] == each.item_code:
            continue
        ends, key = date.fromisoformat(named["on_day"]), (each.office_id, named["item"])
        if key not in first or ends < first[key][0]:
            first[key] = ends, each
    ids = {row.code: row.id for row in db.session.execute(select(Item.code, Item.id))}
    for (office_id, code), (ends, blank) in first.items():
        days, lead = (ends - blank.on_day).days, blank.facts["lead_days"]
        if days > (lead + blank.facts["review_days"]) * CALENDAR_DAYS:
            continue
        yield Finding(
            subject=Subject.CONSUMABLE_FIRST,
            office_id=office_id,
            item_id=ids[code],
            level=Level.CRITICAL if days <= lead * CALENDAR_DAYS else Level.WATCH,
            facts={
                "since": ends.isoformat(),
                "days_late": 0,
                "blank": blank.item_code,
                "blank_on": blank.facts["stockout_on"],
            },
        )


def _models_worse() -> Iterator[Finding]:
    """Per stock whose own backtest shows the projection to be worse than the average, which takes its place."""
    for (office_id, item_id), error in backtests.worse_stocks().items():
        yield Finding(
            subject=Subject.MODEL_WORSE,
            office_id=office_id,
            item_id=item_id,
            level=Level.WATCH,
            facts={
                "since": error.on_day.isoformat(),
                "days_late": 0,
                "windows": error.windows,
                "error": error.error,
                "average_error": error.average_error,
            },
        )
