"""Allotments: proposals to split a delivery or to lend, and the plans with their drafts that managers make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain import allotment
from inventory.domain.access import Action, Actor, require
from inventory.domain.allotment import Lender, Outcome, Share, Stock
from inventory.domain.drafts import FIXED, check_planned, check_within, said
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import body_digest
from inventory.domain.offices import OfficeKind
from inventory.domain.quantities import check_quantity
from inventory.models import AllotmentLine, AllotmentPlan, Item, Office, Person
from inventory.models.offices import within
from inventory.services import calendars, drafts, items, offices, standings
from inventory.services.drafts import DraftView
from inventory.services.idempotency import once
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView
from inventory.services.standings import Standing

MOST_OFFICES = 600
"""In one plan: a province with all its districts fits, the country does not."""

OneStock = TypeVar("OneStock", bound=Stock)


@dataclass(frozen=True, kw_only=True)
class SplitTerms:
    """What is split, in blanks. `reserve` stays with the giver, `pack` is the item's own when None. `least` and `most`
    hold for each office below; `fixed` is what offices without a projection get, by code."""

    quantity: int
    reserve: int = 0
    pack: int | None = None
    least: int = 0
    most: int | None = None
    fixed: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class LoanTerms:
    """Within which limits offices lend, in blanks. `keep_days`: working days of cover that a sender keeps, its own lead
    time when None; `reserve`: what stays in each sender's store. `most`: that one office sends at most, and takes at
    most. `least_shipment`, `most_shipments`: see `domain.allotment.lend`."""

    pack: int | None = None
    keep_days: int | None = None
    reserve: int = 0
    most: int | None = None
    least_shipment: int = 0
    most_shipments: int | None = None


@dataclass(frozen=True, kw_only=True)
class OfficeShare:
    """What the proposal means for one office. `usable` is what it has beside what is split. Cover is in its own
    working days, None past the outlook of a year; days are those on which the stock runs out."""

    code: str
    name: str
    is_giver: bool
    usable: int
    quantity: int
    rule: str
    cover_before: float | None
    cover_after: float | None
    out_before: date | None
    out_after: date | None
    unmet_before: float
    unmet_after: float


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An office that nothing can be worked out for, why, and what it is given all the same."""

    code: str
    name: str
    why: str
    store: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Together:
    """How all offices of a proposal stand: which runs out first and when, and how many requests are expected to go
    unmet until the horizon's end."""

    first_name: str
    first_cover: float | None
    first_on: date | None
    unmet: float


@dataclass(frozen=True, kw_only=True)
class Way:
    """How many blanks from one office to another."""

    sender_code: str
    sender_name: str
    receiver_code: str
    receiver_name: str
    quantity: int
    receiver: OfficeShare | None
    """None for an office that was left out."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """`on_day` is the office's own day of the stocks. `until` ends the stretch of days over which unmet requests are
    counted: when the office's next delivery can be there. `left` is what nobody was given. `even` is None for loans,
    and so are `before` and `after` when no office has a projection."""

    mode: str
    office: OfficeView
    item_code: str
    pack: int
    quantity: int | None
    reserve: int
    left: int
    on_day: date
    until: date
    shares: tuple[OfficeShare, ...]
    left_out: tuple[LeftOut, ...]
    ways: tuple[Way, ...]
    before: Together | None
    after: Together | None
    even: Together | None
    giver_store: int


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A plan as the edges see it, with its drafts."""

    id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    item_code: str
    mode: str
    quantity: int | None
    reserve: int
    pack: int
    planned_on: date
    facts: dict[str, Any]
    made_by: str | None
    made_at: datetime
    drafts: tuple[DraftView, ...]


def propose_split(actor: Actor, now: datetime, office_code: str, item_code: str, terms: SplitTerms) -> Proposal:
    """How an office best shares a delivery among the offices right below it, and itself when it has demand of its own.

    Whoever has no projection is left out and gets what the terms fix, nothing if they say nothing. What the giver has
    beside the delivery counts as its own stock. Raises NotFound, NotAllowed, Refusal `plan_exceeds_stock` when what is
    fixed is more than there is, and what `domain.allotment.split` raises; Invalid `too_many_offices`.
    """
    office, item = _office_and_item(actor, office_code, item_code)
    check_quantity(terms.quantity)
    today, until = _stretch(office, now)
    found = standings.of_offices(_takers(office), item, today)
    known = [each for each in found if each.unknown is None]
    known = [each for each in known if each.code != office.code or (each.demand is not None and each.demand[-1] > 0)]
    left_out = _left_out([each for each in found if each.unknown and each.code != office.code], terms.fixed)
    fixed = sum(each.quantity for each in left_out)
    if terms.reserve + fixed >= terms.quantity:
        check_within(terms.reserve + fixed, terms.quantity, office.name)
    giver = next(each for each in found if each.code == office.code)
    stocks = [_taker(each, until, terms, office.code) for each in known]
    pack = item.pack_size if terms.pack is None else terms.pack
    best = allotment.split(stocks, terms.quantity - fixed, pack, terms.reserve) if stocks else None
    usable = {stock.code: stock.usable for stock in stocks}
    shares = _shares(known, best.shares, usable, office.code) if best else ()
    return Proposal(
        mode="split",
        office=office,
        item_code=item.code,
        pack=pack,
        quantity=terms.quantity,
        reserve=terms.reserve,
        left=best.left if best else terms.quantity - terms.reserve - fixed,
        on_day=today,
        until=until,
        shares=shares,
        left_out=left_out,
        ways=_ways_of_split(office, shares, left_out),
        before=_together(known, best.before) if best else None,
        after=_together(known, best.after) if best else None,
        even=_together(known, best.even) if best else None,
        giver_store=giver.store,
    )


def propose_loans(actor: Actor, now: datetime, office_code: str, item_code: str, terms: LoanTerms) -> Proposal:
    """Which offices of a subtree should lend to which, so that all that hold the item run out together.

    Raises NotFound, NotAllowed, Invalid `too_many_offices`, and what `domain.allotment.lend` raises.
    """
    office, item = _office_and_item(actor, office_code, item_code)
    today, until = _stretch(office, now)
    found = standings.of_offices(_holders(office, item), item, today)
    known = [each for each in found if each.unknown is None]
    pack = item.pack_size if terms.pack is None else terms.pack
    lenders = [_lender(each, until, terms) for each in known]
    limits = {"least_shipment": terms.least_shipment, "most_shipments": terms.most_shipments}
    enough = float((until - today).days + 1)
    best = allotment.lend(lenders, pack, enough=enough, **limits) if lenders else None
    shares = _shares(known, best.shares, {each.code: each.usable for each in known}) if best else ()
    by_code = {share.code: share for share in shares}
    ways = [
        _way(by_code[each.sender].name, each.sender, by_code[each.receiver], each.quantity)
        for each in (best.shipments if best else ())
    ]
    return Proposal(
        mode="loans",
        office=office,
        item_code=item.code,
        pack=pack,
        quantity=None,
        reserve=terms.reserve,
        left=0,
        on_day=today,
        until=until,
        shares=shares,
        left_out=_left_out([each for each in found if each.unknown], {}),
        ways=tuple(ways),
        before=_together(known, best.before) if best else None,
        after=_together(known, best.after) if best else None,
        even=None,
        giver_store=0,
    )


def save(
    actor: Actor, now: datetime, request_id: UUID, proposal: Proposal, planned: Mapping[tuple[str, str], int]
) -> int:
    """Keep a plan and its drafts: how many blanks go from one office to another, by their codes, as the manager wants
    it. They wait on their senders' pages until a storekeeper sends them; nothing moves before. The plan's id.

    Raises NotFound, NotAllowed for an office outside the actor's reach; Invalid `nothing_entered`, `same_office`,
    `lends_and_borrows`, `not_the_giver`, and what `check_quantity` raises; Refusal `plan_exceeds_stock` when a split
    adds up to more than there is to split or a lender has less in store, `request_id_reused`.
    """
    require(actor, Action.ALLOT_DELIVERY, proposal.office.path)
    planned = {ends: quantity for ends, quantity in sorted(planned.items()) if quantity}
    check_planned(proposal.mode, planned)
    ids = {code: _part(actor, proposal.office, code) for code in {code for ends in planned for code in ends}}
    item = items.get(proposal.item_code)
    digest = body_digest(actor.person_id, (), _said(proposal, planned))
    values = _plan_values(proposal, item, request_id, digest) | {"made_by_id": actor.person_id, "made_at": now}
    values["planned_on"] = proposal.office.today(now)
    whys = {(way.sender_code, way.receiver_code): way for way in proposal.ways}

    def put(session: Session) -> int:
        _check_sums(proposal, planned, item)
        plan_id = session.execute(insert(AllotmentPlan).values(values).returning(AllotmentPlan.id)).scalar_one()
        rows = [
            {
                "plan_id": plan_id,
                "item_id": item.id,
                "sender_id": ids[sender],
                "receiver_id": ids[receiver],
                "quantity": quantity,
                "status": "draft",
                "why": _why(whys.get((sender, receiver)), quantity),
            }
            for (sender, receiver), quantity in planned.items()
        ]
        session.execute(insert(AllotmentLine), rows)
        return plan_id

    return once(AllotmentPlan, AllotmentPlan.id, request_id, digest, put)


def made_by(actor: Actor, request_id: UUID) -> int | None:
    """The plan that this request of the actor's has made already, if it has; `get` says whether they may see it."""
    theirs = (AllotmentPlan.request_id == request_id, AllotmentPlan.made_by_id == actor.person_id)
    return db.session.scalar(select(AllotmentPlan.id).where(*theirs))


def get(actor: Actor, plan_id: int) -> PlanView:
    """A plan with its drafts. Raises NotFound `plan_not_found`, NotAllowed."""
    found = _plans(AllotmentPlan.id == plan_id)
    if not found:
        raise NotFound("plan_not_found")
    require(actor, Action.ALLOT_DELIVERY, found[0].office_path)
    return found[0]


def of_office(actor: Actor, office_code: str, limit: int = 20) -> list[PlanView]:
    """The plans of an office, the newest first."""
    office = offices.get(actor, Action.ALLOT_DELIVERY, office_code)
    return _plans(AllotmentPlan.office_id == office.id, limit=limit)


def newest(actor: Actor, office_code: str, before_id: int | None, limit: int) -> list[PlanView]:
    """The plans of an office, the newest first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.ALLOT_DELIVERY, office_code)
    below = () if before_id is None else (AllotmentPlan.id < before_id,)
    return _plans(AllotmentPlan.office_id == office.id, *below, limit=limit)


# --- who takes part -----------------------------------------------------------------------------------------------


def _office_and_item(actor: Actor, office_code: str, item_code: str) -> tuple[OfficeView, ItemView]:
    return offices.get(actor, Action.ALLOT_DELIVERY, office_code), items.get(item_code)


def _stretch(office: OfficeView, now: datetime) -> tuple[date, date]:
    """Today, and the day by which a delivery asked for at the next occasion can be in the office's store."""
    today = office.today(now)
    last = today + timedelta(days=standings.OUTLOOK_DAYS - 1)
    calendar = calendars.of_offices([(office.id, office.settings.working_days)], today, last)[office.id]
    opened = calendar.open_days(today, last)
    days = office.settings.lead_time_days + office.settings.review_period_days
    return today, opened[days - 1] if days <= len(opened) else last


def _takers(office: OfficeView) -> Sequence[Office]:
    """The office and the active ones right below it; what an outreach team has counts for its office."""
    below = (Office.parent_id == office.id) & (Office.kind != OfficeKind.OUTREACH.value) & Office.active
    return _bounded(select(Office).where((Office.id == office.id) | below))


def _holders(office: OfficeView, item: ItemView) -> Sequence[Office]:
    apart = Office.kind != OfficeKind.OUTREACH.value
    rows = db.session.scalars(select(Office).where(within(office.path), apart, Office.active).order_by(Office.code))
    found = rows.all()
    held = standings.held_by([row.id for row in found], item.id)
    if len(held) > MOST_OFFICES:
        raise Invalid("too_many_offices", limit=MOST_OFFICES)
    return [row for row in found if row.id in held]


def _bounded(query: Any) -> Sequence[Office]:
    rows = db.session.scalars(query.order_by(Office.code).limit(MOST_OFFICES + 1)).all()
    if len(rows) > MOST_OFFICES:
        raise Invalid("too_many_offices", limit=MOST_OFFICES)
    return rows


def _left_out(unknown: Sequence[Standing], fixed: Mapping[str, int]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(
            code=each.code, name=each.name, why=each.unknown or "", store=each.store, quantity=fixed.get(each.code, 0)
        )
        for each in unknown
    )


def _taker(each: Standing, until: date, terms: SplitTerms, giver: str) -> Stock:
    assert each.demand is not None, "an office without a projection takes no part"
    mean, dispersion = each.until(until)
    usable, least, most = each.usable, terms.least, terms.most
    if each.code == giver:
        # The delivery that is split may be in its store already: what is over is its own. Its part stays where it is,
        # so the limits of what is sent are not its own.
        usable, least, most = max(-each.backlog, each.usable - terms.quantity), 0, None
    return Stock(
        code=each.code,
        usable=usable,
        demand=each.demand,
        mean=mean,
        dispersion=dispersion,
        least=least,
        most=most,
    )


def _lender(each: Standing, until: date, terms: LoanTerms) -> Lender:
    assert each.demand is not None, "an office without a projection takes no part"
    mean, dispersion = each.until(until)
    keeps = each.lead_days if terms.keep_days is None else terms.keep_days
    return Lender(
        code=each.code,
        usable=each.usable,
        demand=each.demand,
        mean=mean,
        dispersion=dispersion,
        most=terms.most,
        most_out=terms.most,
        store=each.store - each.drafts_out,
        reserve=terms.reserve,
        keep_cover=float(each.calendar_days(keeps)),
        near=tuple(each.path.strip("/").split("/")),
    )


# --- what is shown ------------------------------------------------------------------------------------------------


def _shares(
    known: Sequence[Standing], shares: Sequence[Share], usable: Mapping[str, int], giver: str = ""
) -> tuple[OfficeShare, ...]:
    by_code = {each.code: each for each in known}
    return tuple(_share(by_code[share.code], share, usable[share.code], share.code == giver) for share in shares)


def _share(standing: Standing, share: Share, usable: int, is_giver: bool) -> OfficeShare:
    return OfficeShare(
        code=share.code,
        name=standing.name,
        is_giver=is_giver,
        usable=usable,
        quantity=share.quantity,
        rule=share.rule,
        cover_before=standing.working_days(share.cover_before),
        cover_after=standing.working_days(share.cover_after),
        out_before=standing.out_on(share.cover_before),
        out_after=standing.out_on(share.cover_after),
        unmet_before=share.unmet_before,
        unmet_after=share.unmet_after,
    )


def _together(known: Sequence[Standing], outcome: Outcome) -> Together:
    first = next(each for each in known if each.code == outcome.first_out)
    return Together(
        first_name=first.name,
        first_cover=first.working_days(outcome.smallest_cover),
        first_on=first.out_on(outcome.smallest_cover),
        unmet=outcome.unmet,
    )


def _ways_of_split(office: OfficeView, shares: Sequence[OfficeShare], left_out: Sequence[LeftOut]) -> tuple[Way, ...]:
    ways = [_way(office.name, office.code, share, share.quantity) for share in shares if not share.is_giver]
    plain = {"sender_code": office.code, "sender_name": office.name, "receiver": None}
    ways += [
        Way(receiver_code=each.code, receiver_name=each.name, quantity=each.quantity, **plain) for each in left_out
    ]
    return tuple(ways)


def _way(sender_name: str, sender_code: str, receiver: OfficeShare, quantity: int) -> Way:
    return Way(
        sender_code=sender_code,
        sender_name=sender_name,
        receiver_code=receiver.code,
        receiver_name=receiver.name,
        quantity=quantity,
        receiver=receiver,
    )


# --- saving -------------------------------------------------------------------------------------------------------


def _said(proposal: Proposal, planned: Mapping[tuple[str, str], int]) -> dict[str, object]:
    return said(
        mode=proposal.mode,
        office=proposal.office.code,
        item_code=proposal.item_code,
        quantity=proposal.quantity,
        reserve=proposal.reserve,
        pack=proposal.pack,
        planned=planned,
    )


def _part(actor: Actor, office: OfficeView, code: str) -> int:
    """The id of an office that a plan names: the planner's own, or one below it."""
    found = offices.get(actor, Action.ALLOT_DELIVERY, code)
    if not found.path.startswith(office.path) or not found.active:
        raise NotFound("office_not_found", code=code[:40])
    return found.id


def _check_sums(proposal: Proposal, planned: Mapping[tuple[str, str], int], item: ItemView) -> None:
    if proposal.mode == "split":
        assert proposal.quantity is not None, "a split has something to split"
        if any(sender != proposal.office.code for sender, _ in planned):
            raise Invalid("not_the_giver")
        # Its own part is what it does not give away.
        check_within(sum(planned.values()), proposal.quantity - proposal.reserve, proposal.office.name)
        return
    out: dict[str, int] = {}
    for (sender, _), quantity in planned.items():
        out[sender] = out.get(sender, 0) + quantity
    rows = db.session.scalars(select(Office).where(Office.code.in_(out))).all()
    for each in standings.of_offices(rows, item, proposal.on_day):
        check_within(out[each.code], each.store - each.drafts_out - proposal.reserve, each.name)


def _plan_values(proposal: Proposal, item: ItemView, request_id: UUID, digest: str) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "request_digest": digest,
        "office_id": proposal.office.id,
        "item_id": item.id,
        "mode": proposal.mode,
        "quantity": proposal.quantity,
        "reserve": proposal.reserve,
        "pack": proposal.pack,
        "facts": {
            "until": proposal.until.isoformat(),
            "left": proposal.left,
            "stays": sum(share.quantity for share in proposal.shares if share.is_giver),
            **{
                name: _plain(asdict(each))
                for name in ("before", "after", "even")
                if (each := getattr(proposal, name)) is not None
            },
        },
    }


def _why(way: Way | None, quantity: int) -> dict[str, Any]:
    """The grounds of a draft, as JSON can hold them: what was proposed, and what it would do for the receiver."""
    if way is None or way.receiver is None:
        return {"rule": FIXED, "quantity": quantity, "proposed": way.quantity if way else 0}
    return _plain(asdict(way.receiver)) | {"quantity": quantity, "proposed": way.quantity}


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    def value(each: Any) -> Any:
        if isinstance(each, date):
            return each.isoformat()
        return round(each, 2) if isinstance(each, float) and math.isfinite(each) else each

    return {name: value(each) for name, each in facts.items()}


def _plans(*conditions: Any, limit: int | None = None) -> list[PlanView]:
    rows = db.session.execute(
        select(
            *AllotmentPlan.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path.label("office_path"),
            Office.time_zone,
            Item.code.label("item_code"),
            Person.full_name.label("made_by"),
        )
        .join(Office, Office.id == AllotmentPlan.office_id)
        .join(Item, Item.id == AllotmentPlan.item_id)
        .outerjoin(Person, Person.id == AllotmentPlan.made_by_id)
        .where(*conditions)
        .order_by(AllotmentPlan.id.desc())
        .limit(limit)
    ).all()
    plain = set(PlanView.__dataclass_fields__) - {"drafts"}
    return [
        PlanView(**{name: getattr(row, name) for name in plain}, drafts=tuple(drafts.of_plan(row.id))) for row in rows
    ]
