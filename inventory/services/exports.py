"""Exports: every table that people know, as rows of text and numbers, within the actor's reach.

A new table is one more entry of TABLES: its name, what one must be allowed, its query, its day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import IO, Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import aliased

from inventory.adapters import spreadsheets
from inventory.db import UtcDateTime, db
from inventory.domain.access import Action, Actor, Reach, may_somewhere, reach
from inventory.domain.audit import Event as AuditEvent
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.models import (
    Alert,
    AlertEvent,
    AllotmentLine,
    AllotmentPlan,
    AuditEntry,
    BacktestRun,
    BacktestScore,
    Balance,
    Board,
    BoardItem,
    CalendarDay,
    ClearingRate,
    ClosingException,
    DailyTotal,
    DayCap,
    DayClosing,
    Delivery,
    DeliveryRequest,
    DeliveryRequestLine,
    Destruction,
    DestructionLine,
    DigitalShare,
    Document,
    EquipmentReport,
    Event,
    EventItem,
    Import,
    Item,
    JobRun,
    Membership,
    Movement,
    MovementRange,
    NumberRange,
    Office,
    OutreachPlan,
    OutreachPlanLine,
    Person,
    PlanStep,
    Proposal,
    ReportedFigure,
    Seal,
    StatedRate,
    Stocktake,
    StocktakeLine,
    StoredProjection,
    Transfer,
    TransferLine,
)
from inventory.models.offices import within
from inventory.services import audit, audit_trail, offices
from inventory.services.offices import in_reach

ROWS_AT_ONCE = 1000
"""Rows that the database sends at a time: an export holds no more of a table than that."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that can be exported. `query` selects its columns; `offices` are the offices of which one must lie
    within reach, none when the table belongs to no office; `day` is a day or an instant by which it is narrowed."""

    name: str
    action: Action
    query: Any
    """A Select; how many columns it has is no part of its type here."""
    offices: tuple[Any, ...] = ()
    day: Any = None
    within: Callable[[Reach], ColumnElement[bool]] | None = None
    """Which rows are within reach, where that is not said by the offices alone."""


@dataclass(frozen=True)
class Export:
    """A table being read: headings, then rows of plain values as the database sends them."""

    name: str
    headings: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]
    count: Callable[[], int]
    """How many rows there are as it is asked: the database counts them."""

    def all_rows(self) -> Iterator[tuple[object, ...]]:
        yield self.headings
        yield from self.rows


def names(actor: Actor) -> list[str]:
    """The tables that the actor may export."""
    return [table.name for table in TABLES if may_somewhere(actor, table.action)]


def has_days(name: str) -> bool:
    """Whether a table can be narrowed to a period."""
    return _table(name).day is not None


def read(
    actor: Actor,
    name: str,
    office_code: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Export:
    """A table within the actor's reach; of one office and those below it, and of the days from `since` to `until`,
    where these are given and the table has offices and days. Days of instants are days of UTC.

    Raises NotFound `export_unknown`, `office_not_found`; NotAllowed; Invalid `period_backwards`.
    """
    table = _table(name)
    if not may_somewhere(actor, table.action):
        raise NotAllowed("not_allowed", action=table.action.value)
    if since and until and until < since:
        raise Invalid("period_backwards")
    conditions = [_within(table, reach(actor, table.action))]
    if office_code:
        path = offices.get(actor, table.action, office_code).path
        conditions += [or_(*(within(path, each) for each in table.offices))] if table.offices else []
    conditions += _period(table.day, since, until)
    query = table.query.where(*conditions)
    headings = tuple(str(column.name) for column in query.selected_columns)
    counted = select(func.count()).select_from(query.order_by(None).subquery())
    return Export(name, headings, _rows(query), lambda: db.session.scalar(counted) or 0)


def take_out(
    actor: Actor,
    now: datetime,
    name: str,
    office_code: str | None = None,
    since: date | None = None,
    until: date | None = None,
    *,
    format: str = "csv",
) -> Export:
    """`read`, for somebody who takes the table along: who, which, of which office and period and how many rows is
    written into the audit before the first row leaves. Raises what `read` raises."""
    found = read(actor, name, office_code, since, until)
    office = offices.get(actor, _table(name).action, office_code) if office_code else None
    facts = {"table": name, "format": format, "rows": found.count(), "since": since, "until": until}
    facts = {fact: value for fact, value in facts.items() if value is not None}
    office_id = office.id if office else None
    audit.record(now, actor, AuditEvent.EXPORTED, office_id=office_id, subject=name, facts=facts)
    return found


def csv_lines(found: Export) -> Iterator[bytes]:
    """The table as CSV, piece by piece."""
    return spreadsheets.csv_lines(found.all_rows())


def write_xlsx(found: Export, stream: IO[bytes]) -> None:
    """The table as a workbook."""
    spreadsheets.write_xlsx(stream, [(found.name, found.all_rows())])


def _rows(query: Any) -> Iterator[tuple[object, ...]]:
    result = db.session.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
    for partition in result.partitions():
        for row in partition:
            yield tuple(_plain(value) for value in row)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float | date) or value is None else str(value)


def _within(table: Table, allowed: Reach) -> ColumnElement[bool]:
    if table.within:
        return table.within(allowed)
    if not table.offices or allowed.everywhere:
        return true()
    return or_(*(in_reach(allowed, each) for each in table.offices))


def _period(column: Any, since: date | None, until: date | None) -> list[ColumnElement[bool]]:
    if column is None:
        return []
    is_instant = isinstance(column.type, UtcDateTime)
    found = []
    if since:
        found.append(column >= (datetime.combine(since, time.min, UTC) if is_instant else since))
    if until:
        found.append(column <= (datetime.combine(until, time.max, UTC) if is_instant else until))
    return found


def _table(name: str) -> Table:
    for table in TABLES:
        if table.name == name:
            return table
    raise NotFound("export_unknown")


# --- the tables --------------------------------------------------------------------------------------------------

_person, _about = aliased(Person), aliased(Person)
_sender, _receiver = aliased(Office), aliased(Office)
_team = aliased(Office)
_STOCK = (Office.code.label("office"), Item.code.label("item"))


def _of_stock(model: Any, *columns: Any) -> Any:
    """Columns of a table that belongs to an office and an item, after their codes."""
    return (
        select(*_STOCK, *columns)
        .select_from(model)
        .join(Office, Office.id == model.office_id)
        .join(Item, Item.id == model.item_id)
    )


def _of_office(model: Any, *columns: Any) -> Any:
    """Columns of a table that belongs to an office, after its code."""
    return select(Office.code.label("office"), *columns).select_from(model).join(Office, Office.id == model.office_id)


def _lines_of(document: Any, lines: Any, joined: Any, *left_out: str) -> Any:
    """A document's lines, after the codes of its office and their item."""
    return (
        select(*_STOCK, *_own(lines, "item_id", *left_out))
        .select_from(lines)
        .join(document, joined)
        .join(Office, Office.id == document.office_id)
        .join(Item, Item.id == lines.item_id)
    )


def _reports_of(model: Any) -> Any:
    """Reported figures of an office, with the name of who recorded them."""
    own = _own(model, "office_id", "recorded_by_id")
    return _of_office(model, *own, _person.full_name.label("recorded_by")).outerjoin(
        _person, _person.id == model.recorded_by_id
    )


def _own(model: Any, *left_out: str) -> list[Any]:
    """A table's own columns, but for these."""
    return [column for column in model.__table__.columns if column.name not in left_out]


def _with_ends(query: Any) -> Any:
    """A query over transfers, joined with the offices of both ends."""
    sent = query.join(_sender, _sender.id == Transfer.sender_id)
    return sent.join(_receiver, _receiver.id == Transfer.receiver_id)


TABLES: tuple[Table, ...] = (
    Table(
        name="movements",
        action=Action.VIEW_STOCK,
        query=_of_stock(
            Movement, *_own(Movement, "office_id", "item_id", "actor_id"), _person.full_name.label("recorded_by")
        )
        .outerjoin(_person, _person.id == Movement.actor_id)
        .order_by(Movement.id),
        offices=(Office,),
        day=Movement.effective_on,
    ),
    Table(
        name="balances",
        action=Action.VIEW_STOCK,
        query=_of_stock(Balance, *_own(Balance, "office_id", "item_id")).order_by(Office.code, Item.position),
        offices=(Office,),
    ),
    Table(
        name="daily_totals",
        action=Action.VIEW_STOCK,
        query=_of_stock(DailyTotal, *_own(DailyTotal, "office_id", "item_id")).order_by(
            Office.code, Item.position, DailyTotal.day, DailyTotal.kind, DailyTotal.reason
        ),
        offices=(Office,),
        day=DailyTotal.day,
    ),
    Table(
        name="deliveries",
        action=Action.VIEW_STOCK,
        query=_of_stock(Delivery, *_own(Delivery, "office_id", "item_id")).order_by(Delivery.id),
        offices=(Office,),
        day=Delivery.bast_on,
    ),
    Table(
        name="transfers",
        action=Action.VIEW_STOCK,
        query=_with_ends(
            select(
                _sender.code.label("sender"),
                _receiver.code.label("receiver"),
                *_own(Transfer, "sender_id", "receiver_id", "request_id"),
            ).select_from(Transfer)
        ).order_by(Transfer.id),
        offices=(_sender, _receiver),
        day=Transfer.dispatched_on,
    ),
    Table(
        name="transfer_lines",
        action=Action.VIEW_STOCK,
        query=_with_ends(
            select(
                _sender.code.label("sender"),
                _receiver.code.label("receiver"),
                Item.code.label("item"),
                *_own(TransferLine, "item_id"),
            )
            .select_from(TransferLine)
            .join(Transfer, Transfer.id == TransferLine.transfer_id)
        )
        .join(Item, Item.id == TransferLine.item_id)
        .order_by(TransferLine.transfer_id, Item.position),
        offices=(_sender, _receiver),
        day=Transfer.dispatched_on,
    ),
    Table(
        name="allotment_plans",
        action=Action.ALLOT_DELIVERY,
        query=_of_stock(
            AllotmentPlan, *_own(AllotmentPlan, "office_id", "item_id", "request_id", "request_digest")
        ).order_by(AllotmentPlan.id),
        offices=(Office,),
        day=AllotmentPlan.planned_on,
    ),
    Table(
        name="allotment_lines",
        action=Action.VIEW_STOCK,
        query=select(
            _sender.code.label("sender"),
            _receiver.code.label("receiver"),
            Item.code.label("item"),
            *_own(AllotmentLine, "sender_id", "receiver_id", "item_id"),
        )
        .select_from(AllotmentLine)
        .join(AllotmentPlan, AllotmentPlan.id == AllotmentLine.plan_id)
        .join(_sender, _sender.id == AllotmentLine.sender_id)
        .join(_receiver, _receiver.id == AllotmentLine.receiver_id)
        .join(Item, Item.id == AllotmentLine.item_id)
        .order_by(AllotmentLine.id),
        offices=(_sender, _receiver),
        day=AllotmentPlan.planned_on,
    ),
    Table(
        name="delivery_requests",
        action=Action.VIEW_STOCK,
        query=_of_office(
            DeliveryRequest, *_own(DeliveryRequest, "office_id", "request_id", "request_digest", "version")
        ).order_by(DeliveryRequest.id),
        offices=(Office,),
        day=DeliveryRequest.asked_on,
    ),
    Table(
        name="delivery_request_lines",
        action=Action.VIEW_STOCK,
        query=_lines_of(
            DeliveryRequest, DeliveryRequestLine, DeliveryRequest.id == DeliveryRequestLine.delivery_request_id
        ).order_by(DeliveryRequestLine.delivery_request_id, Item.position),
        offices=(Office,),
        day=DeliveryRequest.asked_on,
    ),
    Table(
        name="stocktakes",
        action=Action.VIEW_STOCK,
        query=_of_office(Stocktake, *_own(Stocktake, "office_id", "request_id", "approval_request_id")).order_by(
            Stocktake.id
        ),
        offices=(Office,),
        day=Stocktake.opened_at,
    ),
    Table(
        name="stocktake_lines",
        action=Action.VIEW_STOCK,
        # While a count goes on nobody is to lean on another's figures.
        query=_lines_of(
            Stocktake,
            StocktakeLine,
            and_(Stocktake.id == StocktakeLine.stocktake_id, Stocktake.status == "approved"),
            "count_request_id",
            "recount_request_id",
        ).order_by(StocktakeLine.stocktake_id, Item.position),
        offices=(Office,),
        day=Stocktake.opened_at,
    ),
    Table(
        name="day_closings",
        action=Action.VIEW_STOCK,
        query=_of_stock(DayClosing, *_own(DayClosing, "office_id", "item_id", "request_id")).order_by(DayClosing.id),
        offices=(Office,),
        day=DayClosing.day,
    ),
    Table(
        name="closing_exceptions",
        action=Action.VIEW_STOCK,
        query=select(*_STOCK, DayClosing.day, *_own(ClosingException, "clear_request_id"))
        .select_from(ClosingException)
        .join(DayClosing, DayClosing.id == ClosingException.closing_id)
        .join(Office, Office.id == DayClosing.office_id)
        .join(Item, Item.id == DayClosing.item_id)
        .order_by(ClosingException.id),
        offices=(Office,),
        day=DayClosing.day,
    ),
    Table(
        name="proposals",
        action=Action.VIEW_STOCK,
        query=_of_office(Proposal, *_own(Proposal, "office_id", "request_id", "request_digest")).order_by(Proposal.id),
        offices=(Office,),
        day=Proposal.proposed_at,
    ),
    Table(
        name="destructions",
        action=Action.VIEW_STOCK,
        query=select(Office.code.label("office"), Proposal.kind, Proposal.status, *_own(Destruction))
        .select_from(Destruction)
        .join(Proposal, Proposal.id == Destruction.proposal_id)
        .join(Office, Office.id == Proposal.office_id)
        .order_by(Destruction.proposal_id),
        offices=(Office,),
        day=Destruction.happened_on,
    ),
    Table(
        name="destruction_lines",
        action=Action.VIEW_STOCK,
        query=_lines_of(Proposal, DestructionLine, Proposal.id == DestructionLine.proposal_id).order_by(
            DestructionLine.proposal_id, Item.position, DestructionLine.cause
        ),
        offices=(Office,),
        day=Proposal.proposed_at,
    ),
    Table(
        name="number_ranges",
        action=Action.VIEW_STOCK,
        query=_of_stock(NumberRange, *_own(NumberRange, "office_id", "item_id")).order_by(
            Office.code, Item.position, NumberRange.prefix, NumberRange.first
        ),
        offices=(Office,),
    ),
    Table(
        name="movement_ranges",
        action=Action.VIEW_STOCK,
        query=select(*_STOCK, Movement.id.label("movement_id"), *_own(MovementRange, "item_id", "request_id"))
        .select_from(MovementRange)
        .join(
            Movement,
            and_(Movement.request_id == MovementRange.request_id, Movement.request_line == MovementRange.request_line),
        )
        .join(Office, Office.id == Movement.office_id)
        .join(Item, Item.id == Movement.item_id)
        .order_by(Movement.id, MovementRange.prefix, MovementRange.first),
        offices=(Office,),
        day=Movement.effective_on,
    ),
    Table(
        name="documents",
        action=Action.VIEW_STOCK,
        query=_of_office(Document, *_own(Document, "office_id", "content", "token")).order_by(Document.id),
        offices=(Office,),
        day=Document.day,
    ),
    Table(
        name="alerts",
        action=Action.VIEW_ALERT,
        query=select(*_STOCK, *_own(Alert, "office_id", "item_id"))
        .select_from(Alert)
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .order_by(Alert.id),
        offices=(Office,),
        day=Alert.opened_at,
    ),
    Table(
        name="alert_events",
        action=Action.VIEW_ALERT,
        query=select(*_STOCK, *_own(AlertEvent))
        .select_from(AlertEvent)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .order_by(AlertEvent.id),
        offices=(Office,),
        day=AlertEvent.at,
    ),
    Table(
        name="projections",
        action=Action.VIEW_STOCK,
        query=_of_stock(StoredProjection, *_own(StoredProjection, "office_id", "item_id")).order_by(
            Office.code, Item.position
        ),
        offices=(Office,),
    ),
    Table(
        name="backtest_scores",
        action=Action.VIEW_ALERT,
        query=_of_stock(BacktestScore, *_own(BacktestScore, "office_id", "item_id")).order_by(
            Office.code, Item.position
        ),
        offices=(Office,),
        day=BacktestScore.on_day,
    ),
    Table(
        name="stated_rates",
        action=Action.VIEW_STOCK,
        query=_of_stock(StatedRate, *_own(StatedRate, "office_id", "item_id")).order_by(Office.code, Item.position),
        offices=(Office,),
        day=StatedRate.stated_on,
    ),
    Table(
        name="reported_figures",
        action=Action.VIEW_STOCK,
        query=_reports_of(ReportedFigure).order_by(ReportedFigure.id),
        offices=(Office,),
        day=ReportedFigure.as_of,
    ),
    Table(
        name="equipment_reports",
        action=Action.VIEW_STOCK,
        query=_reports_of(EquipmentReport).order_by(EquipmentReport.id),
        offices=(Office,),
        day=EquipmentReport.as_of,
    ),
    Table(
        name="offices",
        action=Action.VIEW_OFFICE,
        query=select(*_own(Office, "id", "parent_id")).order_by(Office.path),
        offices=(Office,),
    ),
    Table(
        name="items",
        action=Action.SIGN_OUT,
        query=select(*_own(Item, "id")).order_by(Item.position),
    ),
    Table(
        name="calendar_days",
        action=Action.VIEW_OFFICE,
        query=select(Office.code.label("office"), *_own(CalendarDay, "id", "office_id"))
        .select_from(CalendarDay)
        .join(Office, Office.id == CalendarDay.office_id)
        .order_by(Office.code, CalendarDay.day),
        offices=(Office,),
        day=CalendarDay.day,
    ),
    Table(
        name="outreach_plans",
        action=Action.VIEW_STOCK,
        query=select(
            Office.code.label("office"), _team.code.label("team_office"), *_own(OutreachPlan, "office_id", "team_id")
        )
        .select_from(OutreachPlan)
        .join(Office, Office.id == OutreachPlan.office_id)
        .outerjoin(_team, _team.id == OutreachPlan.team_id)
        .order_by(OutreachPlan.id),
        offices=(Office,),
        day=OutreachPlan.day,
    ),
    Table(
        name="outreach_plan_lines",
        action=Action.VIEW_STOCK,
        query=_lines_of(OutreachPlan, OutreachPlanLine, OutreachPlan.id == OutreachPlanLine.outreach_plan_id).order_by(
            OutreachPlanLine.outreach_plan_id, Item.position
        ),
        offices=(Office,),
        day=OutreachPlan.day,
    ),
    Table(
        name="day_caps",
        action=Action.VIEW_STOCK,
        query=_of_stock(DayCap, *_own(DayCap, "office_id", "item_id")).order_by(DayCap.id),
        offices=(Office,),
        day=DayCap.first_day,
    ),
    Table(
        name="clearing_rates",
        action=Action.VIEW_STOCK,
        query=_of_stock(
            ClearingRate, *_own(ClearingRate, "office_id", "item_id", "request_id", "request_digest")
        ).order_by(ClearingRate.id),
        offices=(Office,),
        day=ClearingRate.stated_on,
    ),
    Table(
        name="digital_shares",
        action=Action.VIEW_OFFICE,
        query=_of_office(DigitalShare, *_own(DigitalShare, "office_id", "request_id", "request_digest")).order_by(
            DigitalShare.id
        ),
        offices=(Office,),
        day=DigitalShare.stated_on,
    ),
    Table(
        name="plan_steps",
        action=Action.VIEW_STOCK,
        # Those about the whole country belong to no office, and are told on the pages of events.
        query=_of_office(PlanStep, *_own(PlanStep, "office_id", "request_id", "request_digest")).order_by(PlanStep.id),
        offices=(Office,),
        day=PlanStep.at,
    ),
    # Events move the demand of everybody below their office, so everybody may know them.
    Table(
        name="events",
        action=Action.VIEW_OFFICE,
        query=select(Office.code.label("office"), *_own(Event, "office_id"))
        .select_from(Event)
        .outerjoin(Office, Office.id == Event.office_id)
        .order_by(Event.id),
        day=Event.first_day,
    ),
    Table(
        name="event_items",
        action=Action.VIEW_OFFICE,
        query=select(EventItem.event_id, Item.code.label("item"))
        .select_from(EventItem)
        .join(Item, Item.id == EventItem.item_id)
        .order_by(EventItem.event_id, Item.position),
    ),
    Table(
        name="boards",
        action=Action.VIEW_STOCK,
        query=_of_office(Board, *_own(Board, "office_id", "request_id", "request_digest")).order_by(Board.id),
        offices=(Office,),
        day=Board.chosen_at,
    ),
    Table(
        name="board_items",
        action=Action.VIEW_STOCK,
        query=select(BoardItem.board_id, Item.code.label("item"))
        .select_from(BoardItem)
        .join(Item, Item.id == BoardItem.item_id)
        .join(Board, Board.id == BoardItem.board_id)
        .join(Office, Office.id == Board.office_id)
        .order_by(BoardItem.board_id, Item.position),
        offices=(Office,),
    ),
    Table(
        name="imports",
        action=Action.IMPORT_RECORDS,
        query=select(
            Office.code.label("office"), *_own(Import, "office_id", "request_id", "content", "faults", "totals")
        )
        .select_from(Import)
        .join(Office, Office.id == Import.office_id)
        .order_by(Import.id),
        offices=(Office,),
        day=Import.checked_at,
    ),
    Table(
        name="people",
        action=Action.MANAGE_PEOPLE,
        query=select(
            Person.email,
            Person.full_name,
            Membership.name.label("role"),
            Office.code.label("office"),
            Person.active,
            Person.language,
            Person.created_at,
        )
        .select_from(Membership)
        .join(Person, Person.id == Membership.person_id)
        .join(Office, Office.id == Membership.office_id)
        .order_by(Person.id, Membership.id),
        offices=(Office,),
    ),
    Table(
        name="job_runs",
        action=Action.VIEW_JOBS,
        query=select(*_own(JobRun)).order_by(JobRun.id),
        day=JobRun.started_at,
    ),
    Table(
        name="backtests",
        action=Action.VIEW_JOBS,
        query=select(Office.code.label("office"), *_own(BacktestRun, "office_id"))
        .select_from(BacktestRun)
        .outerjoin(Office, Office.id == BacktestRun.office_id)
        .order_by(BacktestRun.id),
        day=BacktestRun.made_at,
    ),
    Table(
        name="audit_entries",
        action=Action.VIEW_AUDIT,
        query=select(
            Office.code.label("office"), _about.email.label("about"), *_own(AuditEntry, "office_id", "about_id")
        )
        .select_from(AuditEntry)
        .outerjoin(Office, Office.id == AuditEntry.office_id)
        .outerjoin(_about, _about.id == AuditEntry.about_id)
        .order_by(AuditEntry.id),
        offices=(Office,),
        day=AuditEntry.at,
        within=audit_trail.visible,
    ),
    Table(name="seals", action=Action.VIEW_JOBS, query=select(*_own(Seal)).order_by(Seal.id), day=Seal.sealed_at),
)
