"""The review: opens, raises, lowers and resolves one alert per office, item and subject, with its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.orm import Session

from inventory.db import insert_or
from inventory.domain.access import SYSTEM, Action, Actor, may_somewhere
from inventory.domain.alerts import CUSTODY, Level, Subject, next_level
from inventory.domain.cases import Done
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import Schedule
from inventory.models import Alert, AlertEvent, StoredProjection
from inventory.services import custody, offices, projections, runs
from inventory.services.custody import Finding
from inventory.services.projections import StockProjection
from inventory.services.runs import RunView

REVIEW = "low-stock review"
REVIEW_BY_HAND = "low-stock review by hand"
BATCH = 1_000
"""Rows that one statement writes."""

REVIEWED = tuple(subject for subject in CUSTODY if subject is not Subject.JOB_NOT_RUN)
"""What the review itself finds left undone. That jobs do not run others must notice: it may be the one (`watchers`)."""

T = TypeVar("T")


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
        projected = projections.of_stocks(actor, now, on=on, office_path=path)
        found[:] = _apply(session, run_id, now, projected, past=on is not None)
        if on is None and path is None and actor.is_system:
            # What is left undone is known for now and for all offices together.
            return _counts(found) | {"custody": _apply_custody(session, run_id, now, custody.findings(now))}
        return _counts(found)

    run = runs.run_slot(REVIEW_BY_HAND, clock(), None, clock, worker, work)
    assert run is not None, "a run by hand has its instant to itself"
    return run, found


def _apply(
    session: Session, run_id: int, now: datetime, found: list[StockProjection], *, past: bool = False
) -> list[Reviewed]:
    """Bring the stored projections and the alerts up to what the review found; `past` as of a day that was named."""
    later = _reviewed_later(session, found) if past else set()
    is_open = {(alert.office_id, alert.item_id): alert for alert in _open_about(session, [Subject.LOW_STOCK])}
    reviewed: list[Reviewed] = []
    changes: list[_Change] = []
    for projection in found:
        key = projection.office_id, projection.item_id
        alert = is_open.get(key)
        previous = Level(alert.level) if alert else Level.OK
        level = next_level(previous, projection.reading)
        fresh = key not in later
        reviewed.append(Reviewed(projection=projection, level=level, changed=fresh and level != previous))
        if fresh and level != previous:
            subject = (Subject.LOW_STOCK, *key)
            changes.append(_Change(alert.id if alert else None, subject, previous, level, projection.facts))
    fresh = [each for each in reviewed if (each.projection.office_id, each.projection.item_id) not in later]
    for some in _batches(fresh):
        _store(session, now, some)
    _change(session, run_id, now, changes)
    _refresh(session, now)
    return reviewed


def bring_up_to_date(
    session: Session, run_id: int | None, now: datetime, subjects: Sequence[Subject], found: list[Finding]
) -> int:
    """Within a transaction of the caller's: bring the alerts about these subjects up to what was `found`, by a run or
    by none; how many are open afterwards. Raises IntegrityError when another has opened the same meanwhile."""
    return _apply_custody(session, run_id, now, found, subjects)


def _apply_custody(
    session: Session, run_id: int | None, now: datetime, found: list[Finding], subjects: Sequence[Subject] = REVIEWED
) -> int:
    """Bring the alerts about what is left undone up to date; how many are open afterwards."""
    is_open = {
        (Subject(alert.subject), alert.office_id, alert.item_id): alert for alert in _open_about(session, subjects)
    }
    by_key = {(each.subject, each.office_id, each.item_id): each for each in found if each.level is not Level.OK}
    changes: list[_Change] = []
    same: list[dict[str, Any]] = []
    for key in sorted({*is_open, *by_key}, key=lambda key: (key[0], key[1], key[2] or 0)):
        alert, finding = is_open.get(key), by_key.get(key)
        previous = Level(alert.level) if alert else Level.OK
        level = finding.level if finding else Level.OK
        facts = finding.facts if finding else None
        if level is not previous:
            changes.append(_Change(alert.id if alert else None, key, previous, level, facts))
        elif alert:
            same.append({"alert_id": alert.id, "new_facts": facts})
    _change(session, run_id, now, changes)
    for some in _batches(same):
        session.execute(_SAY_AGAIN, some)
    return len(by_key)


def _open_about(session: Session, subjects: Iterable[Subject]) -> Sequence[Any]:
    columns = Alert.id, Alert.office_id, Alert.item_id, Alert.subject, Alert.level
    wanted = Alert.subject.in_([each.value for each in subjects])
    return session.execute(select(*columns).where(Alert.resolved_at.is_(None), wanted)).all()


def _reviewed_later(session: Session, found: Iterable[StockProjection]) -> set[tuple[int, int]]:
    on_day = {(each.office_id, each.item_id): each.on_day for each in found}
    if not on_day:
        return set()
    rows = session.execute(
        select(StoredProjection.office_id, StoredProjection.item_id, StoredProjection.on_day).where(
            StoredProjection.on_day > min(on_day.values())
        )
    )
    return {(o, i) for o, i, day in rows if (o, i) in on_day and day > on_day[o, i]}


# --- writing -----------------------------------------------------------------------------------------------------
# A night may change the alerts of a whole country: each kind of row is written by one statement for many rows.

_ALERTS: Any = Alert.__table__
_EVENTS: Any = AlertEvent.__table__
_PROJECTIONS: Any = StoredProjection.__table__

_OVER = bindparam("new_level") == Level.OK.value
_MOVE = (
    update(_ALERTS)
    .where(_ALERTS.c.id == bindparam("alert_id"))
    .values(
        level=bindparam("new_level"),
        changed_at=bindparam("now"),
        resolved_at=bindparam("new_resolved_at"),
        done=bindparam("new_done"),
        snoozed_until=case((_OVER, None), else_=_ALERTS.c.snoozed_until),
        snoozed_level=case((_OVER, None), else_=_ALERTS.c.snoozed_level),
    )
)
_SAY_AGAIN = update(_ALERTS).where(_ALERTS.c.id == bindparam("alert_id")).values(facts=bindparam("new_facts"))
# What the alert says now: copied within the database, which has it already.
_NOTE = insert(_EVENTS).values(
    alert_id=bindparam("alert"),
    job_run_id=bindparam("run"),
    at=bindparam("now"),
    from_level=bindparam("old"),
    to_level=bindparam("new"),
    facts=select(_ALERTS.c.facts).where(_ALERTS.c.id == bindparam("alert")).scalar_subquery(),
)


@dataclass(frozen=True)
class _Change:
    """An alert's step from one level to another; `alert_id` is None when it opens, `key` its subject, office and item.
    `facts` None leaves what it said last."""

    alert_id: int | None
    key: tuple[Subject, int, int | None]
    previous: Level
    level: Level
    facts: dict[str, Any] | None


def _change(session: Session, run_id: int | None, now: datetime, changes: list[_Change]) -> None:
    """Open, raise, lower or resolve; each leaves an event with the numbers that caused it."""
    ids = _opened(session, now, [each for each in changes if each.alert_id is None])
    for some in _batches(changes):
        moved = [each for each in some if each.alert_id is not None]
        told = [{"alert_id": each.alert_id, "new_facts": each.facts} for each in moved if each.facts is not None]
        if told:
            session.execute(_SAY_AGAIN, told)
        if moved:
            session.execute(_MOVE, [_step(each, now) for each in moved])
        events = [
            {"alert": each.alert_id or ids[each.key], "run": run_id, "now": now}
            | {"old": each.previous.value, "new": each.level.value}
            for each in some
        ]
        session.execute(_NOTE, events)


def _opened(session: Session, now: datetime, changes: list[_Change]) -> dict[tuple[Subject, int, int | None], int]:
    """The ids of the alerts opened, by their keys. The database refuses a second one that is open about the same."""
    if not changes:
        return {}
    rows = [
        {"subject": each.key[0].value, "office_id": each.key[1], "item_id": each.key[2], "level": each.level.value}
        | {"opened_at": now, "changed_at": now, "facts": each.facts}
        for each in changes
    ]
    for some in _batches(rows):
        session.execute(insert(_ALERTS), some)
    # Of what is open there is one for each key; RETURNING in order would insert row by row on SQLite.
    opened = select(_ALERTS.c.id, _ALERTS.c.subject, _ALERTS.c.office_id, _ALERTS.c.item_id)
    found = session.execute(opened.where(_ALERTS.c.resolved_at.is_(None), _ALERTS.c.opened_at == now))
    return {(Subject(subject), office_id, item_id): alert_id for alert_id, subject, office_id, item_id in found}


def _step(change: _Change, now: datetime) -> dict[str, Any]:
    resolved_at = now if change.level is Level.OK else None
    return {
        "alert_id": change.alert_id,
        "new_level": change.level.value,
        "now": now,
        "new_resolved_at": resolved_at,
        "new_done": Done.RELIEVED.value if resolved_at else None,
    }


def _store(session: Session, now: datetime, reviewed: list[Reviewed]) -> None:
    statement = insert_or(session, _PROJECTIONS)
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


def _refresh(session: Session, now: datetime) -> None:
    """Have each open alert say what the projection says that was just stored."""
    same = (_PROJECTIONS.c.office_id == _ALERTS.c.office_id) & (_PROJECTIONS.c.item_id == _ALERTS.c.item_id)
    session.execute(
        update(_ALERTS)
        .where(_ALERTS.c.subject == Subject.LOW_STOCK.value, _ALERTS.c.resolved_at.is_(None))
        .where(_ALERTS.c.changed_at != now, same, _PROJECTIONS.c.made_at == now)
        .values(facts=_PROJECTIONS.c.facts)
    )


def _batches(rows: Sequence[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), BATCH):
        yield list(rows[start : start + BATCH])


def _counts(reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    reviewed = list(reviewed)
    levels = Counter(each.level.value for each in reviewed)
    return {
        "stocks": len(reviewed),
        "changed": sum(each.changed for each in reviewed),
        "levels": dict(levels),
    }
