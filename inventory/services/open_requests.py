"""Delivery requests that are open: what is yet to come of them, and how a hand-over changes them.

It stands below the ledger: a posting that records a hand-over, or takes one back, keeps the request in step in the
same transaction. Whoever changes a request holds its row first, so what is summed afterwards stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, case, exists, func, null, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.errors import NotFound
from inventory.domain.requests import OPEN, check_arrival, check_open, hope_ends, still_expected
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


@dataclass(frozen=True, kw_only=True)
class OnOrder:
    """What is `left` to come of one line of a request, in the item's units. `asked_on` is the office's own day."""

    delivery_request_id: int
    office_id: int
    item_id: int
    asked_on: date
    left: int


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


def on_order(
    lead_times: Mapping[int, int], day: date, *conditions: ColumnElement[bool], through: date | None = None
) -> Iterator[OnOrder]:
    """What is yet to come on open requests, or was at the close of `through`; `conditions` are of DeliveryRequest and
    its line. What was asked counts only until an allotment says otherwise, and until its hope ends before `day`:
    `lead_times` are the offices' own by their ids, in working days, none where they are missing.
    """
    counts, allotted = DeliveryRequest.status.in_(OPEN), DeliveryRequestLine.allotted
    if through is not None:
        still_open = or_(DeliveryRequest.closed_on.is_(None), DeliveryRequest.closed_on > through)
        counts = and_(DeliveryRequest.asked_on <= through, still_open)
        allotted = case((DeliveryRequest.allotted_on <= through, allotted), else_=null())
    rows = db.session.execute(
        select(
            DeliveryRequest.id,
            DeliveryRequest.office_id,
            DeliveryRequest.asked_on,
            DeliveryRequest.needed_by,
            DeliveryRequestLine.item_id,
            DeliveryRequestLine.asked,
            allotted,
            received_of_line(through),
        )
        .join(DeliveryRequestLine, DeliveryRequestLine.delivery_request_id == DeliveryRequest.id)
        .where(counts, *conditions)
    )
    for id, office_id, asked_on, needed_by, item_id, asked, promised, received in rows:
        if promised is None and hope_ends(asked_on, needed_by, lead_times.get(office_id, 0)) < day:
            continue
        left = still_expected(asked, promised, int(received))
        if left:
            yield OnOrder(delivery_request_id=id, office_id=office_id, item_id=item_id, asked_on=asked_on, left=left)


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
