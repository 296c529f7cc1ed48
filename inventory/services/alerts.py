"""Alerts: reading them. The review opens, raises, lowers and resolves them (`services.reviews`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.cases import State, lapsing
from inventory.domain.errors import NotFound
from inventory.models import Alert, AlertEvent, Item, Office, Person
from inventory.models.offices import within
from inventory.services import cases, offices
from inventory.services.lookup import the_row
from inventory.services.offices import in_reach


@dataclass(frozen=True, kw_only=True)
class AlertView:
    """An alert as the edges see it; instants are aware UTC.

    `facts` are those of `projections.StockProjection` for a low stock, of `custody.Finding` for the other subjects.
    """

    id: int
    subject: Subject
    office_code: str
    office_name: str
    time_zone: str
    item_code: str | None
    """None for a subject that is about the office as a whole."""
    level: str
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    facts: dict[str, Any]
    state: State
    owner_id: int | None
    owner: str | None
    """Name of whoever has taken charge."""
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    snoozed_until: date | None
    """The office's own day on which it is due again."""
    snoozed_level: str | None
    done: str | None
    reopened: int


@dataclass(frozen=True, kw_only=True)
class AlertChange:
    """A line of an alert's history: `facts` are the numbers of then, or what a person's act said; `by` is that person.
    `lapsed` when an acknowledgement ended with it, for what was seen then was not as bad."""

    at: datetime
    kind: str
    from_level: str
    to_level: str
    facts: dict[str, Any]
    by: str | None
    words: str
    lapsed: bool


@dataclass(frozen=True, kw_only=True)
class AlertDetail:
    """`may_act`: whether the reader may act on it."""

    alert: AlertView
    events: tuple[AlertChange, ...]
    may_act: bool


def open_alerts(actor: Actor, office_code: str | None = None, level: str | None = None) -> list[AlertView]:
    """The open alerts in reach, the worst and soonest first. Raises NotFound, NotAllowed for a given office."""
    query = _readable(actor).where(Alert.resolved_at.is_(None))
    if office_code:
        query = query.where(within(offices.get(actor, Action.VIEW_ALERT, office_code).path))
    if level:
        query = query.where(Alert.level == level)
    found = [_view(*row) for row in db.session.execute(query)]
    return sorted(found, key=_urgency)


def newest(
    actor: Actor,
    before_id: int | None,
    limit: int,
    *,
    office_code: str | None = None,
    level: str | None = None,
    resolved: bool | None = False,
) -> list[AlertView]:
    """The alerts in reach, the newest first, from below an id on: of one office and those below it, of one level; open
    ones unless `resolved` says otherwise (None: all). Raises NotFound, NotAllowed for a given office."""
    query = _readable(actor)
    if resolved is not None:
        query = query.where(Alert.resolved_at.is_not(None) if resolved else Alert.resolved_at.is_(None))
    if office_code:
        query = query.where(within(offices.get(actor, Action.VIEW_ALERT, office_code).path))
    if level:
        query = query.where(Alert.level == level)
    if before_id is not None:
        query = query.where(Alert.id < before_id)
    return [_view(*row) for row in db.session.execute(query.order_by(Alert.id.desc()).limit(limit))]


def get(actor: Actor, alert_id: int) -> AlertDetail:
    """One alert and its history. Raises NotFound `alert_not_found`, also for one out of reach."""
    row = the_row(_readable(actor).where(Alert.id == alert_id), NotFound("alert_not_found"))
    view = _view(*row)
    path = db.session.execute(select(Office.path).where(Office.code == view.office_code)).scalar_one()
    return AlertDetail(alert=view, events=tuple(_history(alert_id)), may_act=cases.may_act(actor, path))


def _history(alert_id: int) -> list[AlertChange]:
    """The newest first."""
    rows = db.session.execute(
        select(AlertEvent, Person.full_name)
        .outerjoin(Person, Person.id == AlertEvent.person_id)
        .where(AlertEvent.alert_id == alert_id)
        .order_by(AlertEvent.id)
    ).all()
    lapses = lapsing([(event.kind, Level(event.from_level), Level(event.to_level)) for event, _ in rows])
    changes = [
        AlertChange(
            at=event.at,
            kind=event.kind,
            from_level=event.from_level,
            to_level=event.to_level,
            facts=event.facts,
            by=by,
            words=event.words,
            lapsed=lapsed,
        )
        for (event, by), lapsed in zip(rows, lapses, strict=True)
    ]
    return changes[::-1]


_OWNER, _SEEN_BY = aliased(Person), aliased(Person)


def _readable(actor: Actor) -> Any:
    return (
        select(Alert, Office.code, Office.name, Office.time_zone, Item.code, _OWNER.full_name, _SEEN_BY.full_name)
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(_OWNER, _OWNER.id == Alert.owner_id)
        .outerjoin(_SEEN_BY, _SEEN_BY.id == Alert.acknowledged_by_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .where(in_reach(reach(actor, Action.VIEW_ALERT)))
    )


def _view(
    alert: Alert,
    office_code: str,
    office_name: str,
    time_zone: str,
    item_code: str | None,
    owner: str | None,
    seen_by: str | None,
) -> AlertView:
    return AlertView(
        id=alert.id,
        subject=Subject(alert.subject),
        office_code=office_code,
        office_name=office_name,
        time_zone=time_zone,
        item_code=item_code,
        level=alert.level,
        opened_at=alert.opened_at,
        changed_at=alert.changed_at,
        resolved_at=alert.resolved_at,
        facts=alert.facts,
        state=cases.state_of(alert),
        owner_id=alert.owner_id,
        owner=owner,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=seen_by,
        snoozed_until=alert.snoozed_until,
        snoozed_level=alert.snoozed_level,
        done=alert.done,
        reopened=alert.reopened,
    )


def _urgency(alert: AlertView) -> tuple[int, str, str, str]:
    return (
        -SEVERITY[Level(alert.level)],
        alert.facts.get("stockout_on") or alert.facts.get("since") or "9999",
        alert.office_code,
        alert.item_code or "",
    )
