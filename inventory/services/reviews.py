"""The review: opens, raises, lowers and resolves one alert per office, item and subject, with its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from inventory.db import insert_or
from inventory.domain.access import SYSTEM, Action, Actor, may_somewhere
from inventory.domain.alerts import CUSTODY, Level, Subject, next_level
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import Schedule
from inventory.models import Alert, AlertEvent, StoredProjection
from inventory.services import custody, offices, projections, runs
from inventory.services.custody import Finding
from inventory.services.projections import StockProjection
from inventory.services.runs import RunView

REVIEW = "low-stock review"
REVIEW_BY_HAND = "low-stock review by hand"


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """What the review found for one stock. `changed` is False too when a later day was reviewed already."""

    projection: StockProjection
    level: Level
    changed: bool


def review_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled review of all stocks for one slot; None when the slot is taken. See `runs.run_slot`."""

    def work(session: Session, run_id: int) -> dict[str, Any]:
        now = clock()
        counts = _counts(_apply(session, run_id, now, projections.of_stocks(SYSTEM, now)))
        return counts | {"custody": _apply_custody(session, run_id, now, custody.findings(now))}

    return runs.run_slot(REVIEW, slot, schedule, clock, worker, work)


def review(
    actor: Actor,
    clock: Callable[[], datetime],
    worker: str,
    *,
    on: date | None = None,
    office_code: str | None = None,
) -> tuple[RunView, list[Reviewed]]:
    """Review by hand the stocks at or below an office, as of now or of the close of a day.

    Alerts follow, except those of stocks for which a later day was reviewed before: the past does not overwrite
    the present. Raises NotAllowed, NotFound.
    """
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    path = offices.get(actor, Action.VIEW_ALERT, office_code).path if office_code else None
    found: list[Reviewed] = []

    def work(session: Session, run_id: int) -> dict[str, Any]:
        now = clock()
        found[:] = _apply(session, run_id, now, projections.of_stocks(actor, now, on=on, office_path=path))
        if on is None and path is None and actor.is_system:
            # What is left undone is known for now and for all offices together.
            return _counts(found) | {"custody": _apply_custody(session, run_id, now, custody.findings(now))}
        return _counts(found)

    run = runs.run_slot(REVIEW_BY_HAND, clock(), None, clock, worker, work)
    assert run is not None, "a run by hand has its instant to itself"
    return run, found


def _apply(session: Session, run_id: int, now: datetime, found: list[StockProjection]) -> list[Reviewed]:
    """Bring the stored projections and the alerts up to what the review found."""
    later = _reviewed_later(session, found)
    is_open = {(alert.office_id, alert.item_id): alert for alert in session.scalars(_open_about([Subject.LOW_STOCK]))}
    reviewed: list[Reviewed] = []
    for projection in found:
        key = projection.office_id, projection.item_id
        alert = is_open.get(key)
        previous = Level(alert.level) if alert else Level.OK
        level = next_level(previous, projection.reading)
        fresh = key not in later
        reviewed.append(Reviewed(projection=projection, level=level, changed=fresh and level != previous))
        if fresh and level != previous:
            subject = (Subject.LOW_STOCK, *key)
            _change(session, run_id, now, _Change(alert, subject, previous, level, projection.facts))
        elif fresh and alert:
            alert.facts = projection.facts
    _store(
        session,
        now,
        [each for each in reviewed if (each.projection.office_id, each.projection.item_id) not in later],
    )
    session.flush()
    return reviewed


def _apply_custody(session: Session, run_id: int, now: datetime, found: list[Finding]) -> int:
    """Bring the alerts about what is left undone up to date; how many are open afterwards."""
    is_open = {
        (Subject(alert.subject), alert.office_id, alert.item_id): alert
        for alert in session.scalars(_open_about(CUSTODY))
    }
    by_key = {(each.subject, each.office_id, each.item_id): each for each in found if each.level is not Level.OK}
    for key in sorted({*is_open, *by_key}, key=lambda key: (key[0], key[1], key[2] or 0)):
        alert, finding = is_open.get(key), by_key.get(key)
        previous = Level(alert.level) if alert else Level.OK
        level, facts = (finding.level, finding.facts) if finding else (Level.OK, alert.facts if alert else {})
        if level is not previous:
            _change(session, run_id, now, _Change(alert, key, previous, level, facts))
        elif alert:
            alert.facts = facts
    session.flush()
    return len(by_key)


def _open_about(subjects: Iterable[Subject]) -> Select[Alert]:
    return select(Alert).where(Alert.resolved_at.is_(None), Alert.subject.in_([each.value for each in subjects]))


def _reviewed_later(session: Session, found: Iterable[StockProjection]) -> set[tuple[int, int]]:
    on_day = {(each.office_id, each.item_id): each.on_day for each in found}
    rows = session.execute(select(StoredProjection.office_id, StoredProjection.item_id, StoredProjection.on_day))
    return {(o, i) for o, i, day in rows if (o, i) in on_day and day > on_day[o, i]}


@dataclass(frozen=True)
class _Change:
    """An alert's step from one level to another; `alert` is None when it opens, `key` its subject, office and item."""

    alert: Alert | None
    key: tuple[Subject, int, int | None]
    previous: Level
    level: Level
    facts: dict[str, Any]


def _change(session: Session, run_id: int, now: datetime, change: _Change) -> None:
    """Open, raise, lower or resolve; each leaves an event with the numbers that caused it."""
    alert = change.alert
    if alert is None:
        subject, office_id, item_id = change.key
        alert = Alert(office_id=office_id, item_id=item_id, subject=subject.value, opened_at=now)
        session.add(alert)
    alert.level = change.level.value
    alert.changed_at = now
    alert.facts = change.facts
    if change.level is Level.OK:
        alert.resolved_at = now
    session.flush()
    session.execute(
        insert(AlertEvent).values(
            alert_id=alert.id,
            job_run_id=run_id,
            at=now,
            from_level=change.previous.value,
            to_level=change.level.value,
            facts=change.facts,
        )
    )


def _store(session: Session, now: datetime, reviewed: list[Reviewed]) -> None:
    if not reviewed:
        return
    statement = insert_or(session, StoredProjection.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"],
        set_={name: statement.excluded[name] for name in ("on_day", "made_at", "level", "facts")},
    )
    rows = [
        {
            "office_id": each.projection.office_id,
            "item_id": each.projection.item_id,
            "on_day": each.projection.on_day,
            "made_at": now,
            "level": each.level.value,
            "facts": each.projection.facts,
        }
        for each in reviewed
    ]
    session.execute(statement, rows)


def _counts(reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    reviewed = list(reviewed)
    levels = Counter(each.level.value for each in reviewed)
    return {
        "stocks": len(reviewed),
        "changed": sum(each.changed for each in reviewed),
        "levels": dict(levels),
    }
