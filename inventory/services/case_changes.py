"""Cases as the numbers make them: opened, raised, lowered, relieved, woken and opened again, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import JSON, Integer, String, and_, bindparam, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import UtcDateTime, in_batches, on_postgresql
from inventory.domain.alerts import Level, Subject
from inventory.domain.cases import Done, Event, Snooze, wakes, wants_new_look
from inventory.domain.offices import local_day
from inventory.models import Alert, AlertEvent, Office, StoredProjection
from inventory.services import row_sets

BATCH = 1_000
"""Rows that one statement writes."""

LOCK = 5_171_001
"""Names the lock that those hold who bring cases up to date."""

Key = tuple[Subject, int, int | None]
"""Subject, office and item."""


_ALERTS: Any = Alert.__table__
_EVENTS: Any = AlertEvent.__table__


@dataclass(frozen=True)
class Change:
    """A case's step from one level to another, or back from sleep or from its end; `case` is its row, None when it
    opens. `facts` None leaves what it said last."""

    case: Any | None
    key: Key
    previous: Level
    level: Level
    facts: dict[str, Any] | None
    wakes: bool = False
    reopens: bool = False


def one_at_a_time(session: Session) -> None:
    """Wait until nobody else brings cases up to date, and keep them waiting until this transaction ends: what one has
    measured, the other must not overwrite with what it measured before. On SQLite there is one writer anyway."""
    if on_postgresql():
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))


def at_once_or_not_at_all(session: Session) -> bool:
    """The same without waiting; False when somebody else is at it."""
    if not on_postgresql():
        return True
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))))


def unsettled(session: Session, subjects: Iterable[Subject], *conditions: Any) -> dict[Key, Any]:
    """The cases about these subjects that are open, or that people resolved while the trouble was not over; held
    until the transaction ends, so that nobody acts on them meanwhile."""
    wanted = Alert.subject.in_([each.value for each in subjects])
    by_hand = and_(Alert.done != Done.RELIEVED.value, Alert.level != Level.OK.value)
    rows = session.execute(
        select(*(column for column in _ALERTS.c if not column.name.startswith("facts")), Office.time_zone)
        .join(Office, Office.id == Alert.office_id)
        .where(or_(Alert.resolved_at.is_(None), by_hand), wanted, *conditions)
        .order_by(Alert.id)
        .with_for_update(of=Alert)
    )
    return {(Subject(row.subject), row.office_id, row.item_id): row for row in rows}


def level_of(case: Any | None) -> Level:
    """The level of a case as it was last measured; ok where there is none."""
    return Level(case.level) if case is not None else Level.OK


def change_of(
    case: Any | None, key: Key, level: Level, facts: dict[str, Any] | None, now: datetime, *, reopens_only_worse: bool
) -> Change | None:
    """What becomes of a case at this level; None when nothing does.

    One that people resolved is opened again when the trouble is not over, or, if so said, only when it is worse than
    it was.
    """
    previous = level_of(case)
    if case is None:
        return Change(None, key, previous, level, facts) if level is not previous else None
    if case.resolved_at is not None:
        if level is Level.OK:
            return Change(case, key, previous, level, facts)
        reopens = wants_new_look(previous, level) or not reopens_only_worse
        return Change(case, key, previous, level, facts, reopens=True) if reopens else None
    snooze = Snooze(case.snoozed_until, Level(case.snoozed_level) if case.snoozed_level else None)
    woken = level is not Level.OK and wakes(snooze, level, local_day(now, case.time_zone))
    if level is previous and not woken:
        return None
    return Change(case, key, previous, level, facts, wakes=woken)


def apply(
    session: Session, run_id: int | None, now: datetime, changes: Sequence[Change], *, as_stored: bool = False
) -> None:
    """Write the changes; each leaves events with the numbers that caused it. `run_id`: the job's run behind it.

    `as_stored`: they are about stocks and say what the stored projections of these do, so that the database, which has
    those facts already, is not told them again.
    """
    ids = _opened(session, now, [each for each in changes if each.case is None], as_stored=as_stored)
    for some in in_batches(changes, BATCH):
        moved = [(each.case.id, each) for each in some if each.case is not None]
        if as_stored:
            _say_as_stored(session, [alert_id for alert_id, _ in moved])
        else:
            say(session, [(alert_id, each.facts) for alert_id, each in moved])
        if moved:
            session.execute(_MOVE, [_step(each, now) for _, each in moved])
        events = [
            (each.case.id if each.case is not None else ids[each.key], *said) for each in some for said in _events(each)
        ]
        _note(session, run_id, now, events)


def say(session: Session, told: Iterable[tuple[int, dict[str, Any] | None]]) -> None:
    """Have these cases say these facts; None leaves what one said last."""
    rows = [{"alert_id": alert_id, "new_facts": facts} for alert_id, facts in told if facts is not None]
    for some in in_batches(rows, BATCH):
        session.execute(_SAY_AGAIN, some)


# --- writing -----------------------------------------------------------------------------------------------------
# A night may change the alerts of a whole country: each kind of row is written by one statement for many rows.

_MOVED = (
    "level",
    "changed_at",
    "resolved_at",
    "done",
    "acknowledged_at",
    "acknowledged_by_id",
    "snoozed_until",
    "snoozed_level",
    "reopened",
)
_MOVE = (
    update(_ALERTS)
    .where(_ALERTS.c.id == bindparam("alert_id"))
    .values({name: bindparam(f"new_{name}") for name in _MOVED})
)
_SAY_AGAIN = update(_ALERTS).where(_ALERTS.c.id == bindparam("alert_id")).values(facts=bindparam("new_facts"))

_STORED: Any = StoredProjection.__table__
_OF_THE_SAME_STOCK = and_(_STORED.c.office_id == _ALERTS.c.office_id, _STORED.c.item_id == _ALERTS.c.item_id)
_STORED_FACTS = select(_STORED.c.facts).where(_OF_THE_SAME_STOCK).scalar_subquery()
_PLACED = {"place": Integer}
_OPENED = {"subject": String, "office_id": Integer, "item_id": Integer, "level": String}
_NOTED = {"alert_id": Integer, "kind": String, "from_level": String, "to_level": String}


def _say_as_stored(session: Session, ids: Sequence[int]) -> None:
    if ids:
        session.execute(update(_ALERTS).where(_ALERTS.c.id.in_(ids)).values(facts=_STORED_FACTS))


def _note(session: Session, run_id: int | None, now: datetime, events: Sequence[Sequence[Any]]) -> None:
    """Events, in their order, with what the alert says now: copied within the database, which has it already."""
    if not events:
        return
    told = row_sets.table_of("told", [(place, *each) for place, each in enumerate(events)], _PLACED | _NOTED)
    same = select(*(told.c[name] for name in _NOTED), literal(run_id, Integer), literal(now, UtcDateTime))
    rows = same.add_columns(_ALERTS.c.facts).join(_ALERTS, _ALERTS.c.id == told.c.alert_id).order_by(told.c.place)
    session.execute(insert(_EVENTS).from_select([*_NOTED, "job_run_id", "at", "facts"], rows))


def _events(change: Change) -> Iterator[tuple[str, str, str]]:
    """Kind, level before and level after, as in _NOTED."""
    old, new = change.previous.value, change.level.value
    if change.reopens:
        yield Event.REOPENED.value, old, old
    if new != old:
        yield Event.LEVEL.value, old, new
    if change.wakes:
        yield Event.WOKEN.value, new, new


def _step(change: Change, now: datetime) -> dict[str, Any]:
    """The row of a case after a change. What is worse, woken or opened again wants a new look."""
    case, over = change.case, change.level is Level.OK
    assert case is not None
    kept = {name: getattr(case, name) for name in _MOVED}
    after = kept | {"level": change.level.value, "changed_at": now}
    if change.wakes or change.reopens or wants_new_look(change.previous, change.level):
        after |= {"acknowledged_at": None, "acknowledged_by_id": None}
    if change.wakes or over:
        after |= {"snoozed_until": None, "snoozed_level": None}
    if change.reopens:
        after |= {"resolved_at": None, "done": None, "reopened": case.reopened + 1}
    elif over and case.resolved_at is None:
        after |= {"resolved_at": now, "done": Done.RELIEVED.value}
    return {"alert_id": case.id} | {f"new_{name}": value for name, value in after.items()}


def _opened(session: Session, now: datetime, changes: list[Change], *, as_stored: bool) -> dict[Key, int]:
    """The ids of the alerts opened, by their keys. The database refuses a second one that is open about the same."""
    if not changes:
        return {}
    for some in in_batches(changes, BATCH):
        if as_stored:
            _open_as_stored(session, now, some)
        elif on_postgresql():
            _open_at_once(session, now, some)
        else:
            session.execute(insert(_ALERTS), [_row(each, now) for each in some])
    # Of what is open there is one for each key; RETURNING in order would insert row by row on SQLite.
    opened = select(_ALERTS.c.id, _ALERTS.c.subject, _ALERTS.c.office_id, _ALERTS.c.item_id)
    found = session.execute(opened.where(_ALERTS.c.resolved_at.is_(None), _ALERTS.c.opened_at == now))
    return {(Subject(subject), office_id, item_id): alert_id for alert_id, subject, office_id, item_id in found}


def _row(change: Change, now: datetime) -> dict[str, Any]:
    subject, office_id, item_id = change.key
    key = {"subject": subject.value, "office_id": office_id, "item_id": item_id, "level": change.level.value}
    return key | {"opened_at": now, "changed_at": now, "facts": change.facts}


def _open_as_stored(session: Session, now: datetime, changes: Sequence[Change]) -> None:
    wanted = row_sets.table_of("wanted", [_placed(*each) for each in enumerate(changes)], _PLACED | _OPENED)
    same = (_STORED.c.office_id == wanted.c.office_id) & (_STORED.c.item_id == wanted.c.item_id)
    _open_all(session, wanted, select(*_columns_of(wanted, now, _STORED.c.facts)).join(_STORED, same))


def _open_at_once(session: Session, now: datetime, changes: Sequence[Change]) -> None:
    rows = [(*_placed(place, each), orjson.dumps(each.facts).decode()) for place, each in enumerate(changes)]
    wanted = row_sets.unnested("wanted", rows, _PLACED | _OPENED | {"facts": JSON})
    _open_all(session, wanted, select(*_columns_of(wanted, now, wanted.c.facts)))


def _placed(place: int, change: Change) -> tuple[Any, ...]:
    subject, office_id, item_id = change.key
    return place, subject.value, office_id, item_id, change.level.value


def _columns_of(wanted: Any, now: datetime, facts: Any) -> Iterator[Any]:
    when = literal(now, UtcDateTime)
    yield from (*(wanted.c[name] for name in _OPENED), when, when, facts, literal(0, Integer))


def _open_all(session: Session, wanted: Any, rows: Any) -> None:
    names = [*_OPENED, "opened_at", "changed_at", "facts", "reopened"]
    session.execute(insert(_ALERTS).from_select(names, rows.order_by(wanted.c.place)))
