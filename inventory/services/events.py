"""Events that move demand, as administrators enter them, and the movable seasons that the calendar brings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, reach, require
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.events import NAME_LENGTH, Occurrence, check_event, movable, season_of
from inventory.domain.offices import local_day
from inventory.domain.texts import check_text
from inventory.models import Event, EventItem, Item, Office, Person
from inventory.services import calendars, items, offices, plan_steps
from inventory.services.lookup import the_row
from inventory.services.offices import ROOT_CODE, in_reach
from inventory.services.plan_steps import StepView, Taken

SUBJECT = "event"
MOST_SHOWN = 200
LONG_AGO = timedelta(days=3 * 366)
"""Events of so long ago teach the projection nothing any more."""
COUNTRY_PATH = f"{ROOT_CODE}/"
EARLIEST_TO_WAKE = "Asia/Jayapura"
"""Where a day begins first in the country: what is said there on a day was said on it, or the day before, elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """What an event says. `office_code` is empty for the country, `items` (codes) for every item, `factor` None to be
    learnt from history."""

    kind: str
    name: str
    first_day: date
    last_day: date
    office_code: str = ""
    items: tuple[str, ...] = ()
    factor: float | None = None


@dataclass(frozen=True, kw_only=True)
class EventView:
    """An event or a movable season as the edges see it; `id` is None for a season, `name` its year."""

    id: int | None
    kind: str
    name: str
    first_day: date
    last_day: date
    office_code: str
    office_name: str
    office_path: str
    items: tuple[str, ...]
    factor: float | None
    version: int
    removed: bool
    made_by: str | None


@dataclass(frozen=True, kw_only=True)
class EventDetail:
    event: EventView
    steps: tuple[StepView, ...]


def add(actor: Actor, now: datetime, request_id: UUID, happening: Happening) -> int:
    """Enter an event; its id. One of the whole country is for those who manage the whole country.

    Raises NotFound, NotAllowed; Invalid `event_kind_unknown`, `event_name_missing`, `period_backwards`,
    `period_too_long`, `event_factor_range`; Refusal `request_id_reused`.
    """
    office_id, values, item_ids = _checked(actor, happening)
    stamp = {"office_id": office_id, "made_by_id": actor.person_id, "recorded_at": now}

    def put(session: Session) -> Taken:
        made = session.execute(insert(Event).values(**values, **stamp).returning(Event.id)).scalar_one()
        _put_items(session, made, item_ids)
        return Taken(subject_id=made, office_id=office_id, step="added")

    return plan_steps.take(actor, now, request_id, SUBJECT, asdict(happening), put)


def change(actor: Actor, now: datetime, request_id: UUID, event_id: int, seen: int, happening: Happening) -> int:
    """Say anew what an event is; its id. `seen` is the version that the change is about: of two at once, one does.

    Raises what `add` raises, and NotFound `event_not_found`; Refusal `event_removed`, `event_changed`.
    """
    require(actor, Action.MANAGE_OFFICES, _row(event_id).office_path)
    office_id, values, item_ids = _checked(actor, happening)

    def put(session: Session) -> Taken:
        _change(session, event_id, seen, {**values, "office_id": office_id})
        session.execute(delete(EventItem).where(EventItem.event_id == event_id))
        _put_items(session, event_id, item_ids)
        return Taken(subject_id=event_id, office_id=office_id, step="changed")

    said = {"event": event_id, "seen": seen} | asdict(happening)
    return plan_steps.take(actor, now, request_id, SUBJECT, said, put)


def remove(actor: Actor, now: datetime, request_id: UUID, event_id: int, seen: int) -> int:
    """Say that an event counts no longer; its id. Raises NotFound `event_not_found`, NotAllowed; Refusal
    `event_removed`, `event_changed`, `request_id_reused`."""
    found = _row(event_id)
    require(actor, Action.MANAGE_OFFICES, found.office_path)

    def put(session: Session) -> Taken:
        _change(session, event_id, seen, {"removed_at": now})
        return Taken(subject_id=event_id, office_id=found.office_id, step="removed")

    return plan_steps.take(actor, now, request_id, SUBJECT, {"event": event_id, "seen": seen, "step": "remove"}, put)


def get(actor: Actor, event_id: int) -> EventDetail:
    """One event with the steps taken on it, for those who manage its office. Raises NotFound `event_not_found`,
    NotAllowed."""
    found = _row(event_id)
    require(actor, Action.MANAGE_OFFICES, found.office_path)
    return EventDetail(event=_views([found])[0], steps=tuple(plan_steps.of_subject(SUBJECT, event_id)))


def listed(actor: Actor, today: date) -> list[EventView]:
    """The events that the actor may see as an administrator, the newest first: the country's and those within reach,
    of the last three years and to come; at most MOST_SHOWN. Removed ones are left out."""
    allowed = reach(actor, Action.MANAGE_OFFICES)
    found = _query().where(
        Event.removed_at.is_(None),
        Event.last_day >= today - LONG_AGO,
        or_(Event.office_id.is_(None), in_reach(allowed)),
    )
    ordered = found.order_by(Event.first_day.desc(), Event.id.desc()).limit(MOST_SHOWN)
    return _views(db.session.execute(ordered).all())


def coming(actor: Actor, now: datetime, office_code: str, days: int = 366) -> list[EventView]:
    """Seasons and events that count for an office from its today on, over so many days, by their first day."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    today = office.today(now)
    last = today + timedelta(days=days)
    above = _paths_above(office.path)
    found = _query().where(
        Event.removed_at.is_(None),
        Event.last_day >= today,
        Event.first_day <= last,
        or_(Event.office_id.is_(None), Office.path.in_(above)),
    )
    entered = _views(db.session.execute(found.order_by(Event.first_day).limit(MOST_SHOWN)).all())
    seasons = [each for each in movable_seasons(today, last) if each.last_day >= today and each.first_day <= last]
    return sorted([*seasons, *entered], key=lambda each: (each.first_day, each.last_day))


def movable_seasons(first: date, last: date) -> list[EventView]:
    """Ramadan and Lebaran of the years that touch these days."""
    return [
        EventView(
            id=None,
            kind=each.season.kind,
            name=each.name,
            first_day=each.first,
            last_day=each.last,
            office_code="",
            office_name="",
            office_path=COUNTRY_PATH,
            items=(),
            factor=None,
            version=0,
            removed=False,
            made_by=None,
        )
        for each in _movable(first, last)
    ]


def occurrences(first: date, last: date) -> list[Occurrence]:
    """All that touches the days from `first` to `last`, for the projection: movable seasons, and events anywhere."""
    said = plan_steps.last_said(SUBJECT)
    rows = db.session.execute(
        _query()
        .add_columns(func.coalesce(said.c.said_at, Event.recorded_at).label("said_at"))
        .outerjoin(said, said.c.subject_id == Event.id)
        .where(Event.removed_at.is_(None), Event.first_day <= last, Event.last_day >= first)
    ).all()
    by_event = _item_ids([row.id for row in rows])
    entered = [
        Occurrence(
            season=season_of(row.kind, row.name, row.factor),
            name=row.name,
            first=row.first_day,
            last=row.last_day,
            path="" if row.office_id is None else row.office_path,
            item_ids=frozenset(by_event[row.id]),
            said_on=local_day(row.said_at, EARLIEST_TO_WAKE),
        )
        for row in rows
    ]
    return [*_movable(first, last), *entered]


# --- writing -----------------------------------------------------------------------------------------------------


def _checked(actor: Actor, happening: Happening) -> tuple[int | None, dict[str, Any], list[int]]:
    if happening.office_code:
        office = offices.get(actor, Action.MANAGE_OFFICES, happening.office_code)
        office_id = office.id
    else:
        require(actor, Action.MANAGE_OFFICES, COUNTRY_PATH)
        office_id = None
    name = check_text(happening.name, NAME_LENGTH)
    check_event(happening.kind, name, happening.first_day, happening.last_day, happening.factor)
    values = {
        "kind": happening.kind,
        "name": name,
        "first_day": happening.first_day,
        "last_day": happening.last_day,
        "factor": happening.factor,
    }
    return office_id, values, sorted({items.get(code).id for code in happening.items})


def _put_items(session: Session, event_id: int, item_ids: Sequence[int]) -> None:
    if item_ids:
        session.execute(insert(EventItem), [{"event_id": event_id, "item_id": item_id} for item_id in item_ids])


def _change(session: Session, event_id: int, seen: int, values: Mapping[str, object]) -> None:
    unchanged = (Event.id == event_id, Event.version == seen, Event.removed_at.is_(None))
    changed = session.execute(
        update(Event).where(*unchanged).values(**values, version=Event.version + 1).returning(Event.id)
    ).scalar_one_or_none()
    if changed is None:
        if session.execute(select(Event.removed_at).where(Event.id == event_id)).scalar_one() is not None:
            raise Refusal("event_removed")
        raise Refusal("event_changed")


# --- reading -----------------------------------------------------------------------------------------------------


def _movable(first: date, last: date) -> list[Occurrence]:
    # A season belongs to the feast of its own year or of the next: Ramadan of January begins in December.
    found = movable(calendars.national_holidays(first.year - 1, last.year + 1))
    return [each for each in found if each.first <= last and each.last >= first]


def _paths_above(path: str) -> list[str]:
    codes = path.strip("/").split("/")
    return ["/".join(codes[: n + 1]) + "/" for n in range(len(codes))]


def _query() -> Any:
    return (
        select(
            *Event.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            func.coalesce(Office.path, COUNTRY_PATH).label("office_path"),
            Person.full_name.label("made_by"),
        )
        .outerjoin(Office, Office.id == Event.office_id)
        .outerjoin(Person, Person.id == Event.made_by_id)
    )


def _row(event_id: int) -> Any:
    return the_row(_query().where(Event.id == event_id), NotFound("event_not_found"))


def _views(rows: Sequence[Any]) -> list[EventView]:
    codes = _item_codes([row.id for row in rows])
    plain = ("id", "kind", "name", "first_day", "last_day", "office_path", "factor", "version", "made_by")
    return [
        EventView(
            **{name: getattr(row, name) for name in plain},
            office_code=row.office_code or "",
            office_name=row.office_name or "",
            items=tuple(codes[row.id]),
            removed=row.removed_at is not None,
        )
        for row in rows
    ]


def _item_codes(event_ids: Sequence[int]) -> dict[int, list[str]]:
    rows = db.session.execute(
        select(EventItem.event_id, Item.code)
        .join(Item, Item.id == EventItem.item_id)
        .where(EventItem.event_id.in_(event_ids))
        .order_by(Item.position)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for event_id, code in rows:
        found[event_id].append(code)
    return found


def _item_ids(event_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    if event_ids:
        rows = select(EventItem.event_id, EventItem.item_id).where(EventItem.event_id.in_(event_ids))
        for event_id, item_id in db.session.execute(rows):
            found[event_id].append(item_id)
    return found
