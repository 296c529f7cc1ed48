"""Transfers, held against the movements at both ends."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inventory.models import Movement, Transfer, TransferLine
from inventory.services.verification.faults import Fault


def booked(session: Session) -> Iterator[Fault]:
    """What a transfer says was sent, arrived, short and damaged is what its movements say, at both ends."""
    booked = {
        (row.transfer_id, row.item_id, row.office_id, row.kind, row.reason): int(row.quantity)
        for row in session.execute(
            select(
                Movement.transfer_id,
                Movement.item_id,
                Movement.office_id,
                Movement.kind,
                Movement.reason,
                func.sum(Movement.quantity).label("quantity"),
            )
            .where(Movement.transfer_id.is_not(None))
            .group_by(Movement.transfer_id, Movement.item_id, Movement.office_id, Movement.kind, Movement.reason)
        )
    }
    lines = session.execute(
        select(Transfer, TransferLine)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .order_by(Transfer.id, TransferLine.item_id)
    )
    for transfer, line in lines:
        for office_id, kind, reason, quantity in _expected(transfer, line):
            found = booked.pop((transfer.id, line.item_id, office_id, kind, reason), 0)
            if found != quantity:
                what = f"{kind} {reason}: it says {quantity}, its movements say {found}"
                yield Fault(check="transfers", row=f"transfer {transfer.id}, item {line.item_id}", what=what)
    for (transfer_id, item_id, _, kind, reason), quantity in sorted(booked.items()):
        what = f"{kind} {reason} of {quantity} that the transfer does not say"
        yield Fault(check="transfers", row=f"transfer {transfer_id}, item {item_id}", what=what)


def _expected(transfer: Transfer, line: TransferLine) -> list[tuple[int, str, str, int]]:
    """Office, kind, reason and quantity of the movements that a transfer's line stands for."""
    came = (line.received or 0) + (line.damaged or 0)
    over = max(0, came - line.sent) if transfer.status == "received" else 0
    sent = line.sent + (over if transfer.purpose == "distribution" else 0)
    expected = [(transfer.sender_id, "dispatch", transfer.purpose, sent)]
    if over:
        expected.append((transfer.sender_id, "count", "found", over))
        if transfer.purpose != "distribution":
            expected.append((transfer.sender_id, "dispatch", "distribution", over))
    if transfer.status == "cancelled":
        expected.append((transfer.sender_id, "arrival", "cancelled", line.sent))
    if transfer.status == "received":
        good, damaged, short = line.received or 0, line.damaged or 0, line.short or 0
        expected += [
            (transfer.sender_id, "arrival", "handed_over", good + damaged),
            (transfer.sender_id, "arrival", "short", short),
            (transfer.receiver_id, "arrival", "arrived", good),
            (transfer.receiver_id, "arrival", "arrived_damaged", damaged),
        ]
    return expected
