"""Delivery requests: asked by an office, allotted by those above it, then received by hand-overs or called off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, may, reach, require
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import NOTE_LENGTH, body_digest, check_day
from inventory.domain.offices import local_day
from inventory.domain.quantities import check_quantity
from inventory.domain.requests import OPEN, check_allotted, check_asked, check_open, short_and_over, still_expected
from inventory.domain.texts import check_text
from inventory.models import (
    DeliveryRequest,
    DeliveryRequestLine,
    DeliveryRequestStep,
    Item,
    Office,
    Person,
    StoredProjection,
)
from inventory.services import deliveries, items, ledger, offices, open_requests
from inventory.services.consumption import FIRST_DAY
from inventory.services.deliveries import DeliveryView
from inventory.services.idempotency import once
from inventory.services.lookup import the_row
from inventory.services.offices import in_reach


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What an office asks for, by item code. `asked_on` is the office's own day, `needed_by` optional."""

    supplier: str
    asked_on: date
    asked: Mapping[str, int]
    needed_by: date | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """What a line of a request is given: 0 for nothing; `cartons` where it is known."""

    allotted: int
    cartons: int | None = None


@dataclass(frozen=True, kw_only=True)
class RequestLineView:
    """`received` counts all that came, the defective ones included. `left` is what is yet to come of an open request;
    `short` and `over` are told against what was allotted, or else asked, `short` once the request is closed."""

    item_code: str
    asked: int
    allotted: int | None
    cartons: int | None
    received: int
    left: int
    short: int
    over: int
    odd_pack: bool
    """The allotment is no multiple of the pack: worth a look, never a refusal."""


@dataclass(frozen=True, kw_only=True)
class RequestView:
    """A request as the edges see it. Days are the office's own. `late` when it is open past the day it was needed."""

    id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    supplier: str
    status: str
    version: int
    hand_overs: int
    asked_on: date
    needed_by: date | None
    allotted_on: date | None
    closed_on: date | None
    made_by: str | None
    recorded_at: datetime
    note: str
    late: bool
    lines: tuple[RequestLineView, ...]

    @property
    def open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, kw_only=True)
class StepView:
    step: str
    on_day: date
    at: datetime
    by: str | None
    note: str


@dataclass(frozen=True, kw_only=True)
class RequestDetail:
    """A request with what was decided on it, in order, and the hand-overs that name it."""

    request: RequestView
    steps: tuple[StepView, ...]
    hand_overs: tuple[DeliveryView, ...]


def ask(actor: Actor, now: datetime, request_id: UUID, office_code: str, asking: Asking) -> int:
    """Record what an office asks its supplier for; the request's id. A repeated form finds its request.

    Raises NotFound, NotAllowed; Invalid `nothing_entered`, `supplier_missing`, `needed_before_asked`,
    `day_in_future`, `day_too_early`, and what `check_quantity` raises; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.REQUEST_DELIVERY, office_code)
    check_day(asking.asked_on, office.today(now), FIRST_DAY)
    supplier, note = check_text(asking.supplier, 120), check_text(asking.note, NOTE_LENGTH)
    if not supplier:
        raise Invalid("supplier_missing")
    asked = {items.get(code).id: quantity for code, quantity in asking.asked.items() if quantity}
    check_asked(asking.asked_on, asking.needed_by, asked)
    digest = body_digest(actor.person_id, (), {"office": office.id} | asdict(asking))
    values = {
        "request_id": request_id,
        "request_digest": digest,
        "office_id": office.id,
        "supplier": supplier,
        "status": "asked",
        "asked_on": asking.asked_on,
        "needed_by": asking.needed_by,
        "made_by_id": actor.person_id,
        "recorded_at": now,
        "note": note,
    }

    def put(session: Session) -> int:
        made = session.execute(insert(DeliveryRequest).values(values).returning(DeliveryRequest.id)).scalar_one()
        rows = [{"delivery_request_id": made, "item_id": item, "asked": q} for item, q in sorted(asked.items())]
        session.execute(insert(DeliveryRequestLine), rows)
        ledger.want_a_look(session, now, [(office.id, item_id) for item_id in asked])
        return made

    return once(DeliveryRequest, DeliveryRequest.id, request_id, digest, put)


def allot(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    delivery_request_id: int,
    seen: int,
    allotted: Mapping[str, Allotment],
    note: str = "",
) -> int:
    """Say how many of each line will come; a later allotment replaces the earlier one. The request's id.

    `seen` is the version of the request that the decision is about. A request of which all that is promised has
    come is closed by it. Raises NotFound, NotAllowed; Invalid `allotted_items_differ` and what `check_quantity`
    raises; Refusal `delivery_request_closed`, `delivery_request_changed`, `request_id_reused`.
    """
    found = _row(delivery_request_id)
    require(actor, Action.ALLOT_DELIVERY, found.office_path)
    by_id = {items.get(code).id: answer for code, answer in allotted.items()}
    check_allotted(_asked(delivery_request_id), {item_id: answer.allotted for item_id, answer in by_id.items()})
    for answer in by_id.values():
        if answer.cartons is not None:
            check_quantity(answer.cartons)
    today = local_day(now, found.time_zone)

    def change(session: Session) -> None:
        _change(session, delivery_request_id, seen, {"status": "allotted", "allotted_on": today})
        for item_id, answer in sorted(by_id.items()):
            line = (
                DeliveryRequestLine.delivery_request_id == delivery_request_id,
                DeliveryRequestLine.item_id == item_id,
            )
            session.execute(update(DeliveryRequestLine).where(*line).values(asdict(answer)))
        open_requests.settle(session, delivery_request_id, today, now)

    said = {"allotted": {item_id: asdict(answer) for item_id, answer in sorted(by_id.items())}, "seen": seen}
    return _step(actor, now, request_id, found, "allotted", note, said, change)


def cancel(actor: Actor, now: datetime, request_id: UUID, delivery_request_id: int, seen: int, why: str) -> int:
    """Call a request off on which nothing has come. The request's id; `seen` as for `allot`.

    Raises NotFound, NotAllowed; Invalid `delivery_request_needs_reason`; Refusal `delivery_request_closed`,
    `delivery_request_received`, `delivery_request_changed`, `request_id_reused`.
    """
    return _end(actor, now, request_id, delivery_request_id, seen, "cancelled", why)


def close(actor: Actor, now: datetime, request_id: UUID, delivery_request_id: int, seen: int, why: str) -> int:
    """Say that nothing more will come on a request: what is lacking stays short. Raises what `cancel` raises."""
    return _end(actor, now, request_id, delivery_request_id, seen, "closed", why)


def get(actor: Actor, now: datetime, delivery_request_id: int, action: Action = Action.VIEW_STOCK) -> RequestDetail:
    """One request, for those who may do `action` at its office. Raises NotFound `delivery_request_not_found`,
    NotAllowed."""
    found = _row(delivery_request_id)
    require(actor, action, found.office_path)
    steps = db.session.execute(
        select(DeliveryRequestStep, Person.full_name)
        .outerjoin(Person, Person.id == DeliveryRequestStep.by_id)
        .where(DeliveryRequestStep.delivery_request_id == delivery_request_id)
        .order_by(DeliveryRequestStep.id)
    )
    sees_stock = may(actor, Action.VIEW_STOCK, found.office_path)
    named = deliveries.of_request(actor, found.office_code, delivery_request_id) if sees_stock else []
    return RequestDetail(
        request=_views(now, [found])[0],
        steps=tuple(
            StepView(step=step.step, on_day=step.on_day, at=step.at, by=by, note=step.note) for step, by in steps
        ),
        hand_overs=tuple(named),
    )


def of_office(actor: Actor, now: datetime, office_code: str, limit: int = 50) -> list[RequestView]:
    """An office's requests: the open ones first, then the newest."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query(DeliveryRequest.office_id == office.id)
    found = found.order_by(DeliveryRequest.closed_at.is_not(None), DeliveryRequest.id.desc())
    return _views(now, db.session.execute(found.limit(limit)).all())


def newest(
    actor: Actor, now: datetime, office_code: str, before_id: int | None, limit: int, status: str | None = None
) -> list[RequestView]:
    """An office's requests, the newest first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query(DeliveryRequest.office_id == office.id)
    if status is not None:
        found = found.where(DeliveryRequest.status == status)
    if before_id is not None:
        found = found.where(DeliveryRequest.id < before_id)
    return _views(now, db.session.execute(found.order_by(DeliveryRequest.id.desc()).limit(limit)).all())


def open_of_office(actor: Actor, now: datetime, office_code: str) -> list[RequestView]:
    """The requests on which a hand-over to this office may come, the oldest first."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query(DeliveryRequest.office_id == office.id, DeliveryRequest.status.in_(OPEN))
    return _views(now, db.session.execute(found.order_by(DeliveryRequest.id).limit(50)).all())


def waiting(actor: Actor, now: datetime, limit: int = 100) -> list[RequestView]:
    """Requests that the actor may allot and that nobody has answered, those needed first on top."""
    allowed = reach(actor, Action.ALLOT_DELIVERY)
    found = _query(DeliveryRequest.status == "asked", in_reach(allowed))
    soonest = (DeliveryRequest.needed_by.is_(None), DeliveryRequest.needed_by, DeliveryRequest.asked_on)
    return _views(now, db.session.execute(found.order_by(*soonest, DeliveryRequest.id).limit(limit)).all())


def suggested(actor: Actor, office_code: str) -> dict[str, int]:
    """What the last review suggests to order, by item code; items for which it suggests nothing are left out."""
    office = offices.get(actor, Action.REQUEST_DELIVERY, office_code)
    rows = db.session.execute(
        select(Item.code, StoredProjection.facts)
        .join(Item, Item.id == StoredProjection.item_id)
        .where(StoredProjection.office_id == office.id, Item.active)
    )
    orders = {code: facts.get("suggested_order") for code, facts in rows}
    return {code: int(order) for code, order in orders.items() if order}


# --- steps -------------------------------------------------------------------------------------------------------


def _step(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    found: Any,
    step: str,
    note: str,
    said: Mapping[str, object],
    change: Callable[[Session], None],
) -> int:
    note = check_text(note, NOTE_LENGTH)
    digest = body_digest(actor.person_id, (), {"request": found.id, "step": step, "note": note} | dict(said))
    values = {
        "delivery_request_id": found.id,
        "step": step,
        "request_id": request_id,
        "request_digest": digest,
        "on_day": local_day(now, found.time_zone),
        "at": now,
        "by_id": actor.person_id,
        "note": note,
    }

    def put(session: Session) -> int:
        change(session)
        session.execute(insert(DeliveryRequestStep).values(values))
        # Another quantity is on its way now, or none.
        ledger.want_a_look(session, now, [(found.office_id, item_id) for item_id in _asked(found.id)])
        return found.id

    return once(DeliveryRequestStep, DeliveryRequestStep.delivery_request_id, request_id, digest, put)


def _end(
    actor: Actor, now: datetime, request_id: UUID, delivery_request_id: int, seen: int, step: str, why: str
) -> int:
    found = _row(delivery_request_id)
    require(actor, Action.REQUEST_DELIVERY, found.office_path)
    if not why.strip():
        raise Invalid("delivery_request_needs_reason")
    status = "cancelled" if step == "cancelled" else "received"
    ended = {"status": status, "closed_on": local_day(now, found.time_zone), "closed_at": now}

    def change(session: Session) -> None:
        _change(session, delivery_request_id, seen, ended)

    return _step(actor, now, request_id, found, step, why, {"seen": seen}, change)


def _change(session: Session, delivery_request_id: int, seen: int, values: Mapping[str, object]) -> None:
    """Change an open request that is still as it was `seen`: of two who decide upon it at once, one does."""
    unchanged = [
        DeliveryRequest.id == delivery_request_id,
        DeliveryRequest.version == seen,
        DeliveryRequest.status.in_(OPEN),
    ]
    if values["status"] == "cancelled":
        unchanged.append(DeliveryRequest.hand_overs == 0)
    changed = session.execute(
        update(DeliveryRequest)
        .where(*unchanged)
        .values(**values, version=DeliveryRequest.version + 1)
        .returning(DeliveryRequest.id)
    ).scalar_one_or_none()
    if changed is None:
        now_is = select(DeliveryRequest.status, DeliveryRequest.hand_overs)
        status, hand_overs = session.execute(now_is.where(DeliveryRequest.id == delivery_request_id)).one()
        check_open(status)
        if values["status"] == "cancelled" and hand_overs:
            raise Refusal("delivery_request_received")
        raise Refusal("delivery_request_changed")


# --- reading -----------------------------------------------------------------------------------------------------


def _query(*conditions: ColumnElement[bool]) -> Any:
    return (
        select(
            *DeliveryRequest.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path.label("office_path"),
            Office.time_zone,
            Person.full_name.label("made_by"),
        )
        .join(Office, Office.id == DeliveryRequest.office_id)
        .outerjoin(Person, Person.id == DeliveryRequest.made_by_id)
        .where(*conditions)
    )


def _row(delivery_request_id: int) -> Any:
    return the_row(_query(DeliveryRequest.id == delivery_request_id), NotFound("delivery_request_not_found"))


def _asked(delivery_request_id: int) -> dict[int, int]:
    rows = db.session.execute(
        select(DeliveryRequestLine.item_id, DeliveryRequestLine.asked).where(
            DeliveryRequestLine.delivery_request_id == delivery_request_id
        )
    )
    return {row.item_id: row.asked for row in rows}


def _views(now: datetime, rows: Any) -> list[RequestView]:
    is_open = {row.id: row.status in OPEN for row in rows}
    lines = _lines_of(is_open)
    plain = set(RequestView.__dataclass_fields__) - {"late", "lines"}
    return [
        RequestView(
            **{name: getattr(row, name) for name in plain},
            late=is_open[row.id] and row.needed_by is not None and row.needed_by < local_day(now, row.time_zone),
            lines=tuple(lines.get(row.id, ())),
        )
        for row in rows
    ]


def _lines_of(is_open: Mapping[int, bool]) -> dict[int, list[RequestLineView]]:
    rows = db.session.execute(
        select(
            DeliveryRequestLine,
            Item.code,
            Item.pack_size,
            open_requests.received_of_line().label("received"),
        )
        .join(Item, Item.id == DeliveryRequestLine.item_id)
        .where(DeliveryRequestLine.delivery_request_id.in_(is_open))
        .order_by(Item.position)
    )
    lines: dict[int, list[RequestLineView]] = {}
    for line, code, pack_size, came in rows:
        view = _line_view(line, code, pack_size, int(came), is_open[line.delivery_request_id])
        lines.setdefault(line.delivery_request_id, []).append(view)
    return lines


def _line_view(line: DeliveryRequestLine, code: str, pack_size: int, came: int, is_open: bool) -> RequestLineView:
    promised = line.asked if line.allotted is None else line.allotted
    short, over = short_and_over(promised, came)
    return RequestLineView(
        item_code=code,
        asked=line.asked,
        allotted=line.allotted,
        cartons=line.cartons,
        received=came,
        left=still_expected(line.asked, line.allotted, came) if is_open else 0,
        short=0 if is_open else short,
        over=over,
        odd_pack=bool((line.allotted or 0) % pack_size),
    )
