"""Delivery requests that are open: what is yet to come of them, and how a hand-over changes them.

It stands below the ledger: a posting that records a hand-over, or takes one back, keeps the request in step in the
same transaction. Whoever changes a request holds its row first, so what is summed afterwards stays so.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, case, exists, func, select, update
from sqlalchemy.orm import Session

from inventory.domain.errors import NotFound
from inventory.domain.requests import OPEN, check_arrival, check_open
from inventory.models import Delivery, DeliveryRequest, DeliveryRequestLine, Movement

STANDS = Delivery.voided_at.is_(None)
PROMISED = func.coalesce(DeliveryRequestLine.allotted, DeliveryRequestLine.asked)
"""SQL over DeliveryRequestLine: what is to come, see `domain.requests.expected`."""


def received_on() -> ScalarSelect[Any]:
    """SQL over Delivery: the office's own day on which it arrived, which its movements know."""
    return (
        select(func.min(Movement.effective_on))
        .where(Movement.delivery_id == Delivery.id)
        .correlate(Delivery)
        .scalar_subquery()
    )


def received_of_line(through: date | None = None) -> ColumnElement[int]:
    """SQL over DeliveryRequestLine: what its hand-overs brought, the defective ones included, until `through`."""
    came = (
        select(func.coalesce(func.sum(Delivery.received), 0))
        .where(
            Delivery.delivery_request_id == DeliveryRequestLine.delivery_request_id,
            Delivery.item_id == DeliveryRequestLine.item_id,
            STANDS,
        )
        .correlate(DeliveryRequestLine)
    )
    if through is not None:
        came = came.where(received_on() <= through)
    return came.scalar_subquery()


def take_in(session: Session, delivery_request_id: int, office_id: int, day: date, deliveries: int) -> None:
    """Before `deliveries` that name the request are written: hold it, and count them.

    Raises NotFound `delivery_request_not_found`, Refusal `delivery_request_closed`, Invalid `arrived_before_asked`.
    """
    mine = (DeliveryRequest.id == delivery_request_id, DeliveryRequest.office_id == office_id)
    asked_on = session.execute(
        update(DeliveryRequest)
        .where(*mine, DeliveryRequest.status.in_(OPEN))
        .values(hand_overs=DeliveryRequest.hand_overs + deliveries, version=DeliveryRequest.version + 1)
        .returning(DeliveryRequest.asked_on)
    ).scalar_one_or_none()
    if asked_on is None:
        status = session.scalar(select(DeliveryRequest.status).where(*mine))
        if status is None:
            raise NotFound("delivery_request_not_found")
        check_open(status)
    else:
        check_arrival(day, asked_on)


def settle(session: Session, delivery_request_id: int, day: date, now: datetime) -> None:
    """Close the request as received when nothing more is to come on any of its lines; else leave it open."""
    lacking = exists().where(
        DeliveryRequestLine.delivery_request_id == delivery_request_id, received_of_line() < PROMISED
    )
    arrived = select(func.max(received_on())).where(Delivery.delivery_request_id == delivery_request_id, STANDS)
    last = session.scalar(arrived)
    session.execute(
        update(DeliveryRequest)
        .where(
            DeliveryRequest.id == delivery_request_id,
            DeliveryRequest.status.in_(OPEN),
            DeliveryRequest.hand_overs > 0,
            ~lacking,
        )
        .values(status="received", closed_on=max(day, last or day), closed_at=now)
    )


def give_back(session: Session, delivery_request_id: int) -> None:
    """After a delivery that named the request was taken back as a mistake: more is expected of it again."""
    session.execute(
        update(DeliveryRequest)
        .where(DeliveryRequest.id == delivery_request_id)
        .values(
            hand_overs=DeliveryRequest.hand_overs - 1,
            version=DeliveryRequest.version + 1,
            status=case((DeliveryRequest.allotted_on.is_(None), "asked"), else_="allotted"),
            closed_on=None,
            closed_at=None,
        )
    )
