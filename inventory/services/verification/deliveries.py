"""Deliveries, held against their movements, and the requests that they answer."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from inventory.models import Delivery, DeliveryRequest, Movement
from inventory.services.verification.faults import Fault, stock_name, whole


def deliveries(session: Session) -> Iterator[Fault]:
    """A delivery says what its movements say, and one that was reversed says nothing any more."""
    own = and_(Movement.office_id == Delivery.office_id, Movement.item_id == Delivery.item_id)

    def booked(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return whole(func.coalesce(func.sum(case((condition, Movement.quantity), else_=0)), 0))

    good = and_(own, Movement.kind == "receipt", Movement.reason == "supplied")
    defective = and_(own, Movement.kind == "receipt", Movement.reason == "defective")
    strange = func.coalesce(func.sum(case((or_(good, defective), 0), else_=1)), 0)
    stands = case((Delivery.voided_at.is_(None), 1), else_=0)
    said_good, said_defective = stands * (Delivery.received - Delivery.defective), stands * Delivery.defective
    wrong = (
        select(
            Delivery.id,
            Delivery.office_id,
            Delivery.item_id,
            Delivery.bast_number,
            said_good.label("said_good"),
            said_defective.label("said_defective"),
            booked(good).label("good"),
            booked(defective).label("defective"),
        )
        .outerjoin(Movement, Movement.delivery_id == Delivery.id)
        .group_by(*Delivery.__table__.columns)
        .having(or_(booked(good) != said_good, booked(defective) != said_defective, strange > _unbooked()))
        .order_by(Delivery.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = (
            f"it says {row.said_good} good and {row.said_defective} defective,"
            f" its movements say {row.good} and {row.defective}"
        )
        name = stock_name(session, row) + f", delivery {row.id} (BAST {row.bast_number})"
        yield Fault(check="deliveries", row=name, what=what)


def _unbooked() -> ColumnElement[int]:
    """SQL: 1 where the outer join found no movement at all, which is told by the sums and not as a strange one."""
    return case((func.count(Movement.id) == 0, 1), else_=0)


def requests(session: Session) -> Iterator[Fault]:
    """A request has counted the hand-overs that name it, all of its own office; one that was cancelled has none."""
    named = and_(Delivery.delivery_request_id == DeliveryRequest.id, Delivery.voided_at.is_(None))
    elsewhere = func.coalesce(func.sum(case((Delivery.office_id != DeliveryRequest.office_id, 1), else_=0)), 0)
    count = func.count(Delivery.id)
    wrong = (
        select(DeliveryRequest.id, DeliveryRequest.hand_overs, count.label("count"), elsewhere.label("elsewhere"))
        .outerjoin(Delivery, named)
        .group_by(DeliveryRequest.id, DeliveryRequest.hand_overs, DeliveryRequest.status)
        .having(
            or_(
                count != DeliveryRequest.hand_overs,
                elsewhere > 0,
                and_(DeliveryRequest.status == "cancelled", count > 0),
            )
        )
        .order_by(DeliveryRequest.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = f"it has counted {row.hand_overs} hand-overs, {row.count} name it, {row.elsewhere} of another office"
        yield Fault(check="requests", row=f"request {row.id}", what=what)
