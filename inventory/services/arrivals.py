"""What is under way to an office's stock, with the day on which it is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from inventory.db import db
from inventory.domain.requests import expected_on
from inventory.models import DeliveryRequest, DeliveryRequestLine, Transfer, TransferLine
from inventory.services import open_requests


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Blanks that are yet to come. `on_day` is the office's own; a day that has passed means: late already.

    One of `transfer_id` and `delivery_request_id` says what brings them.
    """

    on_day: date
    quantity: int
    transfer_id: int | None = None
    delivery_request_id: int | None = None


def expected(
    office_id: int, item_id: int, lead_time_days: int, today: date, nth_open_day: Callable[[date, int], date]
) -> list[Expected]:
    """What is in transit and on order now, the soonest first; requests without hope of an answer are left out, as
    the projection leaves them out.

    See `domain.requests.expected_on` for `nth_open_day`. It asks for no permission: callers have.
    """
    found = [*_in_transit(office_id, item_id), *_on_order(office_id, item_id, lead_time_days, today, nth_open_day)]
    return sorted(found, key=lambda each: (each.on_day, each.quantity))


def _in_transit(office_id: int, item_id: int) -> list[Expected]:
    rows = db.session.execute(
        select(Transfer.id, Transfer.expected_on, TransferLine.sent)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .where(Transfer.receiver_id == office_id, Transfer.status == "dispatched", TransferLine.item_id == item_id)
    )
    return [Expected(on_day=day, quantity=sent, transfer_id=id) for id, day, sent in rows]


def _on_order(
    office_id: int, item_id: int, lead_time_days: int, today: date, nth_open_day: Callable[[date, int], date]
) -> list[Expected]:
    mine = (DeliveryRequest.office_id == office_id, DeliveryRequestLine.item_id == item_id)
    return [
        Expected(
            on_day=expected_on(each.asked_on, lead_time_days, nth_open_day),
            quantity=each.left,
            delivery_request_id=each.delivery_request_id,
        )
        for each in open_requests.on_order({office_id: lead_time_days}, today, *mine)
    ]
