"""Alerts: reading them. The review opens, raises, lowers and resolves them (`services.reviews`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.errors import NotFound
from inventory.models import Alert, AlertEvent, Item, Office
from inventory.models.offices import within
from inventory.services import offices
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


@dataclass(frozen=True, kw_only=True)
class AlertChange:
    at: datetime
    from_level: str
    to_level: str
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class AlertDetail:
    alert: AlertView
    events: tuple[AlertChange, ...]


def open_alerts(actor: Actor, office_code: str | None = None, level: str | None = None) -> list[AlertView]:
    """The open alerts in reach, the worst and soonest first. Raises NotFound, NotAllowed for a given office."""
    query = _readable(actor).where(Alert.resolved_at.is_(None))
    if office_code:
        query = query.where(within(offices.get(actor, Action.VIEW_ALERT, office_code).path))
    if level:
        query = query.where(Alert.level == level)
    found = [_view(*row) for row in db.session.execute(query)]
    return sorted(found, key=_urgency)


def get(actor: Actor, alert_id: int) -> AlertDetail:
    """One alert and its history. Raises NotFound `alert_not_found`, also for one out of reach."""
    row = the_row(_readable(actor).where(Alert.id == alert_id), NotFound("alert_not_found"))
    events = db.session.scalars(
        select(AlertEvent).where(AlertEvent.alert_id == alert_id).order_by(AlertEvent.id.desc())
    )
    changes = tuple(
        AlertChange(at=event.at, from_level=event.from_level, to_level=event.to_level, facts=event.facts)
        for event in events
    )
    return AlertDetail(alert=_view(*row), events=changes)


def _readable(actor: Actor) -> Any:
    return (
        select(Alert, Office.code, Office.name, Office.time_zone, Item.code)
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .where(in_reach(reach(actor, Action.VIEW_ALERT)))
    )


def _view(alert: Alert, office_code: str, office_name: str, time_zone: str, item_code: str | None) -> AlertView:
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
    )


def _urgency(alert: AlertView) -> tuple[int, str, str, str]:
    return (
        -SEVERITY[Level(alert.level)],
        alert.facts.get("stockout_on") or alert.facts.get("since") or "9999",
        alert.office_code,
        alert.item_code or "",
    )
