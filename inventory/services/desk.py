"""The desk: everything that needs a decision of an actor, in one list, by the day on which it hurts.

Each source is a SELECT of the same columns, of what the actor may decide and no more. Their union is filtered,
ordered and paged by the database: a page costs the same however long the list is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from inventory.db import db
from inventory.domain.access import Action, Actor, Origin, reach
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.drafts import OPEN
from inventory.domain.offices import local_day
from inventory.models import (
    Alert,
    AllotmentLine,
    AllotmentPlan,
    DeliveryRequest,
    DeliveryRequestLine,
    DestructionLine,
    Item,
    Movement,
    Office,
    Person,
    Proposal,
    Stocktake,
    StocktakeLine,
    StoredProjection,
    Transfer,
    TransferLine,
)
from inventory.models.alerts import rank_of
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.cases import PersonName
from inventory.services.offices import in_reach

PER_PAGE = 50
COUNTRY = "Asia/Jakarta"
"""Whose today divides what hurts already from what will: the list may span three time zones."""
MATTERS = ("proposal", "stocktake", "request", "draft", "arrival")
"""What waits beside the cases: for a second person, an approval, an allotment, a dispatch, a count on arrival."""
ABOUTS = (*(subject.value for subject in Subject), *MATTERS)
OWNERS = ("mine", "nobody")
MOST_OWNERS = 100
"""People among whom the list can be narrowed: of more, those who look after most."""
LEVELS = tuple(Level)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the list is narrowed to; None stands for all. `about` is one of ABOUTS, `owner` one of OWNERS or the id of a
    person. What sleeps is left out unless `snoozed`."""

    office_code: str | None = None
    item_code: str | None = None
    level: str | None = None
    about: str | None = None
    owner: str | int | None = None
    snoozed: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something to decide. `id` is that of the alert, proposal, stocktake, request, draft or transfer that `about`
    names. `hurts_on` is the day of the stock-out, else the day by which or since when it should be done; None when
    nobody can tell. `facts` are those of the alert, else plain values for a sentence, see `_Details`.
    """

    about: str
    id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    item_code: str | None
    level: str | None
    hurts_on: date | None
    hurts_now: bool
    owner_id: int | None
    owner: str | None
    acknowledged: bool
    snoozed: bool
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_case(self) -> bool:
        return self.about not in MATTERS


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One page of the list, and how many entries it has in all: some of them hurt already."""

    entries: tuple[Entry, ...]
    found: int
    hurting: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PER_PAGE))


def of_actor(actor: Actor, now: datetime, narrowed: Filter | None = None, page: int = 1) -> Desk:
    """What waits for a decision of the actor's: what hurts already first, the worst of it on top, then by day.

    A page past the last one is the last one. Raises NotFound `office_not_found`, `item_not_found`; NotAllowed.
    """
    wanted = narrowed or Filter()
    office = offices.get(actor, Action.VIEW_ALERT, wanted.office_code) if wanted.office_code else None
    item_id = items.get(wanted.item_code).id if wanted.item_code else None
    today = local_day(now, COUNTRY)
    asks = replace(actor, name="", origin=Origin())  # what the list depends on, and not on which request it is
    statement = _statement(db.engine.dialect.name, asks, today, office.path if office else None, item_id, wanted)

    def at(page: int) -> Sequence[Any]:
        return db.session.execute(statement, {"offset": (page - 1) * PER_PAGE}).all()

    page = max(page, 1)
    rows = at(page)
    if not rows and page > 1:  # past the last one
        first = at(1)
        page = max(1, -(-first[0].found // PER_PAGE)) if first else 1
        rows = at(page) if page > 1 else first
    found, hurt = (rows[0].found, rows[0].hurting) if rows else (0, 0)
    return Desk(entries=tuple(_entries(rows, today)), found=int(found), hurting=int(hurt), page=page)


def owners(actor: Actor, limit: int = MOST_OWNERS) -> list[PersonName]:
    """Who has taken charge of open cases in the actor's reach, by name; at most `limit`, those with most cases."""
    rows = db.session.execute(
        select(Person.id, Person.full_name)
        .join(Alert, Alert.owner_id == Person.id)
        .join(Office, Office.id == Alert.office_id)
        .where(Alert.resolved_at.is_(None), in_reach(reach(actor, Action.VIEW_ALERT)))
        .group_by(Person.id, Person.full_name)
        .order_by(func.count().desc(), Person.id)
        .limit(limit)
    )
    return sorted((PersonName(id, name) for id, name in rows), key=lambda each: (each.name, each.id))


@lru_cache(maxsize=100)
def _statement(
    _dialect: str, actor: Actor, today: date, below: str | None, item_id: int | None, wanted: Filter
) -> Select[Any]:
    """SQL: a page of the list. Put together once for those who may decide the same: six sources take as long to put
    together as their page takes to be drawn."""
    # Inside each source rather than around them: PostgreSQL would guess that next to nothing of the union is awake, and
    # read all of it once for each office.
    narrowed = within(below) if below is not None else true()
    narrow = [each.where(narrowed) for each in _sources(actor, today, item_id, snoozed=wanted.snoozed)]
    sources = union_all(*narrow).subquery()
    # All are read once, for the page and for what is counted of all.
    hurting = func.sum(case((sources.c.hurts_on <= today, 1), else_=0)).over().label("hurting")
    ordered = select(sources, func.count().over().label("found"), hurting)
    ordered = ordered.where(*_conditions(sources, actor, wanted)).order_by(*_order(sources, today))
    some = ordered.limit(PER_PAGE).offset(bindparam("offset", type_=Integer)).subquery()
    told = select(some, Office.code, Office.name, Office.path, Office.time_zone, Person.full_name)
    told = told.join(Office, Office.id == some.c.office_id).outerjoin(Person, Person.id == some.c.owner_id)
    return told.order_by(*_order(some, today))


# --- what is wanted, and in which order --------------------------------------------------------------------------


def _conditions(sources: Any, actor: Actor, wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if wanted.level:
        yield sources.c.severity == SEVERITY[Level(wanted.level)]
    if wanted.about:
        yield sources.c.about == wanted.about
    if wanted.owner == "mine":
        yield sources.c.owner_id == actor.person_id
    elif wanted.owner == "nobody":
        yield sources.c.owner_id.is_(None)
    elif isinstance(wanted.owner, int):
        yield sources.c.owner_id == wanted.owner


def _order(sources: Any, today: date) -> tuple[Any, ...]:
    """What hurts already hurts today, however long it has: the worst of it first."""
    hurts = sources.c.hurts_on
    counts_on = case((hurts < today, literal(today, Date)), else_=hurts)
    worst = func.coalesce(sources.c.severity, SEVERITY[Level.WATCH]).desc()
    return hurts.is_(None), counts_on, worst, hurts, sources.c.about, sources.c.id


# --- sources -----------------------------------------------------------------------------------------------------


class _WrittenDay(FunctionElement[date]):
    """SQL: the day that a text in ISO format begins with."""

    type = Date()
    inherit_cache = True


class _DayOfInstant(FunctionElement[date]):
    """SQL: an instant's day in UTC. Close enough to order by; pages tell the instant on the office's own clock."""

    type = Date()
    inherit_cache = True


@compiles(_WrittenDay, "postgresql")
def _written_day(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS DATE)"


@compiles(_DayOfInstant, "postgresql")
def _day_of_instant(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC' AS DATE)"


@compiles(_WrittenDay, "sqlite")
@compiles(_DayOfInstant, "sqlite")
def _day_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


def _columns(
    about: Any,
    ident: Any,
    office_id: Any,
    *,
    item_id: Any = None,
    severity: Any = None,
    hurts_on: Any,
    owner_id: Any = None,
    acknowledged: Any = 0,
    snoozed: Any = 0,
) -> Any:
    def known(value: Any) -> Any:
        return null() if value is None else value

    columns: dict[str, Any] = {
        "about": about if not isinstance(about, str) else literal(about),
        "id": ident,
        "office_id": office_id,
        "item_id": known(item_id),
        "severity": known(severity),
        "hurts_on": hurts_on,
        "owner_id": known(owner_id),
        "acknowledged": acknowledged if not isinstance(acknowledged, int) else literal(acknowledged),
        "snoozed": snoozed if not isinstance(snoozed, int) else literal(snoozed),
    }
    return select(*(column.label(name) for name, column in columns.items()))


def _sources(actor: Actor, today: date, item_id: int | None, *, snoozed: bool) -> list[Any]:
    """Each joins the office: it can be narrowed to some."""
    return [
        _cases(actor, item_id, snoozed),
        _proposals(actor, item_id),
        _stocktakes(actor, item_id),
        _requests(actor, item_id),
        _drafts(actor, item_id),
        _arrivals(actor, today, item_id),
    ]


def _cases(actor: Actor, item_id: int | None, snoozed: bool) -> Any:
    """Open alerts of every subject, those that sleep only when asked for: nothing else does. A stock that is out hurts
    since it became so."""
    opened, became = _DayOfInstant(Alert.opened_at), _DayOfInstant(Alert.changed_at)
    # By the alert's own facts: a posting brings them up to date long before the next review.
    day = _WrittenDay(Alert.facts_day)
    about_stock, is_out = Alert.subject == Subject.LOW_STOCK.value, Alert.level == Level.OUT.value
    asleep = or_(Alert.snoozed_until.is_not(None), Alert.snoozed_level.is_not(None))
    query = _columns(
        Alert.subject,
        Alert.id,
        Alert.office_id,
        item_id=Alert.item_id,
        severity=rank_of(Alert.level),
        hurts_on=case(
            (and_(about_stock, is_out), became),
            (about_stock, day),
            else_=func.coalesce(day, opened),
        ),
        owner_id=Alert.owner_id,
        acknowledged=case((Alert.acknowledged_at.is_not(None), 1), else_=0),
        snoozed=case((asleep, 1), else_=0),
    )
    query = query.join(Office, Office.id == Alert.office_id)
    query = query.where(in_reach(reach(actor, Action.VIEW_ALERT)), Alert.resolved_at.is_(None))
    query = query if snoozed else query.where(Alert.snoozed_until.is_(None), Alert.snoozed_level.is_(None))
    return query if item_id is None else query.where(Alert.item_id == item_id)


def _proposals(actor: Actor, item_id: int | None) -> Any:
    """What waits for a second person: never what the actor proposed."""
    query = _columns(
        "proposal",
        Proposal.id,
        Proposal.office_id,
        item_id=Movement.item_id,
        hurts_on=_DayOfInstant(Proposal.proposed_at),
    )
    query = query.join(Office, Office.id == Proposal.office_id)
    query = query.outerjoin(Movement, Movement.id == Proposal.movement_id)
    query = query.where(in_reach(reach(actor, Action.APPROVE)), Proposal.status == "proposed")
    query = query.where(Proposal.proposed_by_id != actor.person_id) if actor.person_id else query
    if item_id is None:
        return query
    names = exists().where(DestructionLine.proposal_id == Proposal.id, DestructionLine.item_id == item_id)
    return query.where(or_(Movement.item_id == item_id, names))


def _stocktakes(actor: Actor, item_id: int | None) -> Any:
    """Counts that wait for an approval: never those that the actor took part in."""
    line = StocktakeLine.stocktake_id == Stocktake.id
    query = _columns("stocktake", Stocktake.id, Stocktake.office_id, hurts_on=_DayOfInstant(Stocktake.opened_at)).join(
        Office, Office.id == Stocktake.office_id
    )
    query = query.where(in_reach(reach(actor, Action.APPROVE)), Stocktake.status == "counted")
    if actor.person_id:
        counted = exists().where(
            line, or_(StocktakeLine.counted_by_id == actor.person_id, StocktakeLine.recounted_by_id == actor.person_id)
        )
        query = query.where(Stocktake.opened_by_id != actor.person_id, ~counted)
    return query if item_id is None else query.where(exists().where(line, StocktakeLine.item_id == item_id))


def _requests(actor: Actor, item_id: int | None) -> Any:
    """Requests without an answer: they hurt when the first of their items runs out, or is needed."""
    line = DeliveryRequestLine.delivery_request_id == DeliveryRequest.id
    of_line = (
        StoredProjection.office_id == DeliveryRequest.office_id,
        StoredProjection.item_id == DeliveryRequestLine.item_id,
        line,
    )
    runs_out = select(func.min(StoredProjection.stockout_on)).where(*of_line).scalar_subquery()
    worst = select(func.max(rank_of(StoredProjection.level))).where(*of_line).scalar_subquery()
    needed = DeliveryRequest.needed_by
    soonest = case((needed < runs_out, needed), else_=func.coalesce(runs_out, needed, DeliveryRequest.asked_on))
    query = _columns("request", DeliveryRequest.id, DeliveryRequest.office_id, severity=worst, hurts_on=soonest)
    query = query.join(Office, Office.id == DeliveryRequest.office_id)
    query = query.where(in_reach(reach(actor, Action.ALLOT_DELIVERY)), DeliveryRequest.status == "asked")
    return query if item_id is None else query.where(exists().where(line, DeliveryRequestLine.item_id == item_id))


def _drafts(actor: Actor, item_id: int | None) -> Any:
    """Drafts to send: they hurt when the office that waits for them runs out."""
    query = _columns(
        "draft",
        AllotmentLine.id,
        AllotmentLine.sender_id,
        item_id=AllotmentLine.item_id,
        severity=rank_of(StoredProjection.level),
        hurts_on=func.coalesce(StoredProjection.stockout_on, AllotmentPlan.planned_on),
    )
    waiting = and_(
        StoredProjection.office_id == AllotmentLine.receiver_id, StoredProjection.item_id == AllotmentLine.item_id
    )
    query = query.join(AllotmentPlan, AllotmentPlan.id == AllotmentLine.plan_id)
    query = query.join(Office, Office.id == AllotmentLine.sender_id).outerjoin(StoredProjection, waiting)
    query = query.where(in_reach(reach(actor, Action.SEND_TRANSFER)), AllotmentLine.status.in_(OPEN))
    return query if item_id is None else query.where(AllotmentLine.item_id == item_id)


def _arrivals(actor: Actor, today: date, item_id: int | None) -> Any:
    """Transfers that should be here by now and that nobody has counted."""
    query = _columns("arrival", Transfer.id, Transfer.receiver_id, hurts_on=Transfer.expected_on)
    query = query.join(Office, Office.id == Transfer.receiver_id)
    due = (Transfer.status == "dispatched", Transfer.expected_on <= today)
    query = query.where(in_reach(reach(actor, Action.RECEIVE_TRANSFER)), *due)
    carries = exists().where(TransferLine.transfer_id == Transfer.id, TransferLine.item_id == item_id)
    return query if item_id is None else query.where(carries)


# --- what a page tells of its entries ----------------------------------------------------------------------------


def _entries(rows: Sequence[Any], today: date) -> Iterator[Entry]:
    ids: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        ids[row.about if row.about in MATTERS else "case"].append(row.id)
    details = {(kind, ident): facts for kind in ids for ident, facts in _DETAILS[kind](ids[kind])}
    codes = {row.id: row.code for row in db.session.execute(select(Item.id, Item.code))}
    for row in rows:
        yield Entry(
            about=row.about,
            id=row.id,
            office_code=row.code,
            office_name=row.name,
            office_path=row.path,
            time_zone=row.time_zone,
            item_code=codes.get(row.item_id),
            level=None if row.severity is None else LEVELS[row.severity].value,
            hurts_on=row.hurts_on,
            hurts_now=row.hurts_on is not None and row.hurts_on <= today,
            owner_id=row.owner_id,
            owner=row.full_name,
            acknowledged=bool(row.acknowledged),
            snoozed=bool(row.snoozed),
            facts=details.get((row.about if row.about in MATTERS else "case", row.id), {}),
        )


_Details = Iterator[tuple[int, dict[str, Any]]]
"""Per id: of a case its facts, else what a sentence about it says, with items by code and people by name."""


def _of_cases(ids: Iterable[int]) -> _Details:
    yield from db.session.execute(select(Alert.id, Alert.facts).where(Alert.id.in_(ids)))


def _of_proposals(ids: Iterable[int]) -> _Details:
    rows = db.session.execute(
        select(Proposal.id, Proposal.kind, Proposal.proposed_at, Person.full_name)
        .join(Person, Person.id == Proposal.proposed_by_id)
        .where(Proposal.id.in_(ids))
    )
    for ident, kind, at, name in rows:
        yield ident, {"kind": kind, "at": at, "by": name}


def _of_stocktakes(ids: Iterable[int]) -> _Details:
    rows = db.session.execute(
        select(Stocktake.id, Stocktake.opened_at, Person.full_name)
        .join(Person, Person.id == Stocktake.opened_by_id)
        .where(Stocktake.id.in_(ids))
    )
    for ident, at, name in rows:
        yield ident, {"at": at, "by": name}


def _of_requests(ids: Iterable[int]) -> _Details:
    lines = db.session.execute(
        select(
            DeliveryRequestLine.delivery_request_id,
            Item.code,
            DeliveryRequestLine.asked,
            DeliveryRequest.asked_on,
            DeliveryRequest.needed_by,
        )
        .join(Item, Item.id == DeliveryRequestLine.item_id)
        .join(DeliveryRequest, DeliveryRequest.id == DeliveryRequestLine.delivery_request_id)
        .where(DeliveryRequest.id.in_(ids))
        .order_by(Item.position)
    )
    return _with_items(
        (ident, code, asked, {"asked_on": asked_on, "needed_by": needed_by})
        for ident, code, asked, asked_on, needed_by in lines
    )


def _of_drafts(ids: Iterable[int]) -> _Details:
    receiver = aliased(Office)
    rows = db.session.execute(
        select(AllotmentLine.id, AllotmentLine.quantity, AllotmentPlan.planned_on, receiver.name)
        .join(AllotmentPlan, AllotmentPlan.id == AllotmentLine.plan_id)
        .join(receiver, receiver.id == AllotmentLine.receiver_id)
        .where(AllotmentLine.id.in_(ids))
    )
    for ident, quantity, planned_on, name in rows:
        yield ident, {"quantity": quantity, "planned_on": planned_on, "receiver": name}


def _of_arrivals(ids: Iterable[int]) -> _Details:
    sender = aliased(Office)
    lines = db.session.execute(
        select(Transfer.id, sender.name, Transfer.expected_on, Item.code, TransferLine.sent)
        .join(sender, sender.id == Transfer.sender_id)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .join(Item, Item.id == TransferLine.item_id)
        .where(Transfer.id.in_(ids))
        .order_by(Item.position)
    )
    return _with_items(
        (ident, code, sent, {"sender": name, "expected_on": expected_on})
        for ident, name, expected_on, code, sent in lines
    )


def _with_items(lines: Iterable[tuple[int, str, int, dict[str, Any]]]) -> _Details:
    """Of each document, from its lines (id, item, quantity, facts of the document): the facts, with its items."""
    found: dict[int, dict[str, Any]] = {}
    for ident, code, quantity, facts in lines:
        found.setdefault(ident, {"items": {}} | facts)["items"][code] = quantity
    yield from found.items()


_DETAILS: Mapping[str, Any] = {
    "case": _of_cases,
    "proposal": _of_proposals,
    "stocktake": _of_stocktakes,
    "request": _of_requests,
    "draft": _of_drafts,
    "arrival": _of_arrivals,
}
