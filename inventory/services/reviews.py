"""The review: opens, raises, lowers and resolves one alert per office, item and subject, with its numbers."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import JSON, BigInteger, Date, Float, Integer, String, literal, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.orm import Session

from inventory.db import UtcDateTime, db, in_batches, insert_or, on_postgresql
from inventory.domain.access import JOB, Action, Actor, may_somewhere
from inventory.domain.alerts import REVIEWED, Level, Subject, next_level
from inventory.domain.errors import NotAllowed
from inventory.domain.facts import next_due, usual_use
from inventory.domain.schedules import Schedule
from inventory.models import Alert, StoredProjection
from inventory.services import case_changes, custody, offices, projections, row_sets, runs, subtree_trends
from inventory.services.case_changes import Change, Key, change_of, level_of, one_at_a_time
from inventory.services.custody import Finding
from inventory.services.projections import StockProjection
from inventory.services.runs import RunView

T = TypeVar("T")

REVIEW = "low-stock review"
REVIEW_BY_HAND = "low-stock review by hand"
RUN_OUT_DAYS = ("stockout_on", "stockout_early_on", "stockout_late_on")
OUTLOOK = ("cover_days", "reorder_point")
"""Of a projection's facts: kept as columns as well, so that offices can be counted and put in order by them."""
MOST_AHEAD = 4
"""Batches that may wait to be written, so that memory stays bounded where the database is the slower one."""
KEPT = (*RUN_OUT_DAYS, *OUTLOOK, "per_day", "to_come", "next_due_on")


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """What the review found for one stock. `changed` is False too when a later day was reviewed already."""

    projection: StockProjection
    level: Level
    changed: bool


def review_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled review of all stocks for one slot; None when the slot is taken. See `runs.run_slot`."""

    def work(session: Session, run_id: int) -> dict[str, Any]:
        one_at_a_time(session)
        now = clock()
        reviewed = _apply(session, run_id, now, projections.by_part(JOB, now))
        return _counts(reviewed) | _for_all(session, run_id, now, reviewed)

    with _uncollected():
        run = runs.run_slot(REVIEW, slot, schedule, clock, worker, work)
    if run is not None:
        _let_the_database_count(run.counts.get("stocks", 0))
    return run


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
        one_at_a_time(session)
        now = clock()
        found[:] = _apply(session, run_id, now, projections.by_part(actor, now, on=on, office_path=path), past=on)
        if path is None and actor.is_system:
            return _counts(found) | _for_all(session, run_id, now, found, past=on)
        return _counts(found)

    with _uncollected():
        run = runs.run_slot(REVIEW_BY_HAND, clock(), None, clock, worker, work)
    assert run is not None, "a run by hand has its instant to itself"
    _let_the_database_count(len(found))
    return run, found


def _let_the_database_count(stocks: int) -> None:
    """PostgreSQL plans by what it counted last, and before a first review there was nothing to count: until its own
    housekeeping comes by, pages over a country would take several times as long. Where the application's role does not
    own the tables it is told so, and they wait for that."""
    if not on_postgresql():
        return
    db.session.commit()
    believed = text("SELECT reltuples FROM pg_class WHERE oid = 'projections'::regclass")
    # Busy with them itself, or held up: the next review looks again.
    with suppress(OperationalError, NoneFree), db.engine.connect() as held:
        connection = held.execution_options(isolation_level="AUTOCOMMIT")
        if 2 * (connection.scalar(believed) or 0) < stocks:
            connection.execute(text("VACUUM (ANALYZE) projections, alerts, subtree_trends"))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for objects that hold each other: a country's review makes millions that all stay until it
    ends, and to look through them again and again takes as long as making them."""
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()


def _for_all(
    session: Session, run_id: int, now: datetime, reviewed: list[Reviewed], *, past: date | None = None
) -> dict[str, Any]:
    """What follows when all stocks were reviewed: sums along the tree, and, known for now alone, what is left
    undone."""
    projected = [each.projection for each in reviewed]
    subtree_trends.keep(session, projected)
    if past is not None:
        return {}
    return {"custody": _apply_custody(session, run_id, now, custody.findings(now, projected))}


def _apply(
    session: Session,
    run_id: int,
    now: datetime,
    parts: Iterable[list[StockProjection]],
    *,
    past: date | None = None,
) -> list[Reviewed]:
    """Bring the stored projections and the alerts up to what the review found, part by part as it is found; by office
    and item. `past`: as of that day, which was named."""
    later = _reviewed_later(session, past) if past else set()
    cases = case_changes.unsettled(session, [Subject.LOW_STOCK])
    found: list[tuple[Reviewed, Change | None]] = []

    def fresh() -> Iterator[list[Reviewed]]:
        for part in parts:
            some = [_reviewed(each, cases, later, now) for each in part]
            found.extend(some)
            yield [each for each, _ in some if (each.projection.office_id, each.projection.item_id) not in later]

    _store(session, now, fresh())
    found.sort(key=lambda each: (each[0].projection.office_code, each[0].projection.item_id))
    changes = [change for _, change in found if change]
    case_changes.apply(session, run_id, now, changes, as_stored=True)
    _refresh(session, now)
    return [each for each, _ in found]


def _reviewed(
    projection: StockProjection, cases: Mapping[Key, Any], later: set[tuple[int, int]], now: datetime
) -> tuple[Reviewed, Change | None]:
    """What becomes of a stock; nothing but its level where a later day was reviewed before."""
    about = Subject.LOW_STOCK, projection.office_id, projection.item_id
    case = cases.get(about)
    level = next_level(level_of(case), projection.reading)
    change = None
    if about[1:] not in later:
        change = change_of(case, about, level, projection.facts, now, reopens_only_worse=False)
    return Reviewed(projection=projection, level=level, changed=change is not None), change


def bring_up_to_date(
    session: Session, run_id: int | None, now: datetime, subjects: Sequence[Subject], found: list[Finding]
) -> int:
    """Within a transaction of the caller's, who looks every few seconds: bring the alerts about these subjects up to
    what was `found`, by a run or by none; how many are open afterwards. What people resolved is opened again only when
    it is worse than it was, as by a posting: else they could not close it. Raises IntegrityError when another has
    opened the same meanwhile."""
    return _apply_custody(session, run_id, now, found, subjects, reopens_only_worse=True)


def _apply_custody(
    session: Session,
    run_id: int | None,
    now: datetime,
    found: list[Finding],
    subjects: Sequence[Subject] = REVIEWED,
    *,
    reopens_only_worse: bool = False,
) -> int:
    """Bring the alerts about what is left undone up to date; how many are open afterwards."""
    cases = case_changes.unsettled(session, subjects)
    by_key = {(each.subject, each.office_id, each.item_id): each for each in found if each.level is not Level.OK}
    changes: list[Change] = []
    same: list[tuple[int, dict[str, Any]]] = []
    for key in sorted({*cases, *by_key}, key=lambda key: (key[0], key[1], key[2] or 0)):
        case, finding = cases.get(key), by_key.get(key)
        level = finding.level if finding else Level.OK
        facts = finding.facts if finding else None
        change = change_of(case, key, level, facts, now, reopens_only_worse=reopens_only_worse)
        if change:
            changes.append(change)
        elif case is not None and case.resolved_at is None and facts is not None:
            same.append((case.id, facts))
    case_changes.apply(session, run_id, now, changes)
    case_changes.say(session, same)
    return len(by_key)


def _reviewed_later(session: Session, day: date) -> set[tuple[int, int]]:
    rows = session.execute(
        select(StoredProjection.office_id, StoredProjection.item_id).where(StoredProjection.on_day > day)
    )
    return {(office_id, item_id) for office_id, item_id in rows}


# --- writing -----------------------------------------------------------------------------------------------------

_ALERTS: Any = Alert.__table__
_PROJECTIONS: Any = StoredProjection.__table__


_REVIEWED = {
    "office_id": Integer,
    "item_id": Integer,
    "on_day": Date,
    "level": String,
    "facts": JSON,
    **dict.fromkeys(RUN_OUT_DAYS, Date),
    "cover_days": Float,
    "reorder_point": BigInteger,
    "per_day": Float,
    "to_come": BigInteger,
    "next_due_on": Date,
}


def _store(session: Session, now: datetime, parts: Iterable[list[Reviewed]]) -> None:
    """Nothing else may be asked of the database while the parts are made: PostgreSQL takes in one of them while the
    next ones are made."""
    statement = insert_or(session, _PROJECTIONS)
    batches = (some for part in parts for some in in_batches(part, case_changes.BATCH))
    if not on_postgresql():
        for some in batches:
            session.execute(_or_update(statement), [_row(each) | {"made_at": now} for each in some])
        return
    connection, made_at = session.connection(), literal(now, UtcDateTime)

    def write(some: list[Reviewed]) -> None:
        # In another thread, which knows nothing of the application: on the session's connection, not by the session.
        table = row_sets.unnested("reviewed", _packed(some), _REVIEWED)
        connection.execute(_or_update(statement.from_select([*_REVIEWED, "made_at"], select(*table.c, made_at))))

    _beside(write, batches)


def _or_update(statement: Any) -> Any:
    return statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"],
        set_={name: statement.excluded[name] for name in ("on_day", "made_at", "level", "facts", *KEPT)},
    )


def _packed(reviewed: list[Reviewed]) -> list[list[Any]]:
    """In the order of _REVIEWED; days as the text that they are in the facts."""
    return [
        [
            *(each.projection.office_id, each.projection.item_id, each.projection.on_day, each.level.value),
            orjson.dumps(each.projection.facts).decode(),
            *_kept(each.projection.facts).values(),
        ]
        for each in reviewed
    ]


def _beside(work: Callable[[T], None], parts: Iterable[T]) -> None:
    """Work on one part after the other, while the next ones are made."""
    with ThreadPoolExecutor(1, thread_name_prefix="writing") as beside:
        begun: deque[Future[None]] = deque()
        try:
            for part in parts:
                begun.append(beside.submit(work, part))
                if len(begun) > MOST_AHEAD:
                    begun.popleft().result()
            while begun:
                begun.popleft().result()
        finally:
            for each in begun:
                each.cancel()


def _row(reviewed: Reviewed) -> dict[str, Any]:
    projection = reviewed.projection
    known = {"office_id": projection.office_id, "item_id": projection.item_id, "on_day": projection.on_day}
    kept = _kept(projection.facts)
    days = {name: date.fromisoformat(kept[name]) if kept[name] else None for name in RUN_OUT_DAYS}
    return known | {"level": reviewed.level.value, "facts": projection.facts} | kept | days


def _kept(facts: dict[str, Any]) -> dict[str, Any]:
    """In the order of KEPT; the days of running out as text."""
    kept = {name: facts.get(name) for name in (*RUN_OUT_DAYS, *OUTLOOK)}
    return kept | {"per_day": usual_use(facts), "to_come": facts.get("inbound"), "next_due_on": next_due(facts)}


def _refresh(session: Session, now: datetime) -> None:
    """Have each open alert say what the projection says that was just stored."""
    same = (_PROJECTIONS.c.office_id == _ALERTS.c.office_id) & (_PROJECTIONS.c.item_id == _ALERTS.c.item_id)
    session.execute(
        update(_ALERTS)
        .where(_ALERTS.c.subject == Subject.LOW_STOCK.value, _ALERTS.c.resolved_at.is_(None))
        .where(_ALERTS.c.changed_at != now, same, _PROJECTIONS.c.made_at == now)
        .values(facts=_PROJECTIONS.c.facts)
    )


def _counts(reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    reviewed = list(reviewed)
    levels = Counter(each.level.value for each in reviewed)
    return {
        "stocks": len(reviewed),
        "changed": sum(each.changed for each in reviewed),
        "levels": dict(levels),
    }
