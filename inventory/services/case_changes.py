"""Cases as the numbers make them: opened, raised, lowered, relieved, woken and opened again, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import in_batches
from inventory.domain.alerts import Level, Subject
from inventory.domain.cases import Done, Event, Snooze, wakes, wants_new_look
from inventory.domain.offices import local_day
from inventory.models import Alert, AlertEvent, Office

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
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))


def at_once_or_not_at_all(session: Session) -> bool:
    """The same without waiting; False when somebody else is at it."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))))


def unsettled(session: Session, subjects: Iterable[Subject], *conditions: Any) -> dict[Key, Any]:
    """The cases about these subjects that are open, or that people resolved while the trouble was not over; held
    until the transaction ends, so that nobody acts on them meanwhile."""
    wanted = Alert.subject.in_([each.value for each in subjects])
    by_hand = and_(Alert.done != Done.RELIEVED.value, Alert.level != Level.OK.value)
    rows = session.execute(
        select(*(column for column in _ALERTS.c if column.name != "facts"), Office.time_zone)
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


def apply(session: Session, run_id: int | None, now: datetime, changes: Sequence[Change]) -> None:
    """Write the changes; each leaves events with the numbers that caused it. `run_id`: the job's run behind it."""
    ids = _opened(session, now, [each for each in changes if each.case is None])
    for some in in_batches(changes, BATCH):
        moved = [each for each in some if each.case is not None]
        say(session, [(each.case.id, each.facts) for each in moved if each.case is not None])
        if moved:
            session.execute(_MOVE, [_step(each, now) for each in moved])
        events = [
            {"alert": each.case.id if each.case is not None else ids[each.key], "run": run_id, "now": now} | said
            for each in some
            for said in _events(each)
        ]
        session.execute(_NOTE, events)


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
# What the alert says now: copied within the database, which has it already.
_NOTE = insert(_EVENTS).values(
    alert_id=bindparam("alert"),
    job_run_id=bindparam("run"),
    at=bindparam("now"),
    kind=bindparam("what"),
    from_level=bindparam("old"),
    to_level=bindparam("new"),
    facts=select(_ALERTS.c.facts).where(_ALERTS.c.id == bindparam("alert")).scalar_subquery(),
)


def _events(change: Change) -> Iterator[dict[str, str]]:
    old, new = change.previous.value, change.level.value
    if change.reopens:
        yield {"what": Event.REOPENED.value, "old": old, "new": old}
    if new != old:
        yield {"what": Event.LEVEL.value, "old": old, "new": new}
    if change.wakes:
        yield {"what": Event.WOKEN.value, "old": new, "new": new}


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


def _opened(session: Session, now: datetime, changes: list[Change]) -> dict[Key, int]:
    """The ids of the alerts opened, by their keys. The database refuses a second one that is open about the same."""
    if not changes:
        return {}
    rows = [
        {"subject": each.key[0].value, "office_id": each.key[1], "item_id": each.key[2], "level": each.level.value}
        | {"opened_at": now, "changed_at": now, "facts": each.facts}
        for each in changes
    ]
    for some in in_batches(rows, BATCH):
        session.execute(insert(_ALERTS), some)
    # Of what is open there is one for each key; RETURNING in order would insert row by row on SQLite.
    opened = select(_ALERTS.c.id, _ALERTS.c.subject, _ALERTS.c.office_id, _ALERTS.c.item_id)
    found = session.execute(opened.where(_ALERTS.c.resolved_at.is_(None), _ALERTS.c.opened_at == now))
    return {(Subject(subject), office_id, item_id): alert_id for alert_id, subject, office_id, item_id in found}
