"""Offices: finding them within an actor's reach, their settings and calendars, and loading office lists."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any, TextIO

from sqlalchemy import ColumnElement, bindparam, false, func, or_, select, true, update
from sqlalchemy.orm import Session

from inventory.db import db, on_postgresql, write
from inventory.domain.access import Action, Actor, Reach, reach, require
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.offices import (
    OfficeKind,
    OfficeSettings,
    check_code,
    check_parent,
    check_settings,
    check_time_zone,
    is_code,
    local_day,
    path_of,
)
from inventory.domain.texts import check_text
from inventory.models import CalendarDay, Office
from inventory.models.offices import within
from inventory.services import audit

ROOT_CODE = "00"
ROOT_NAME = "Direktorat Jenderal Kependudukan dan Pencatatan Sipil"


@dataclass(frozen=True, kw_only=True)
class OfficeView:
    """An office as the edges see it."""

    id: int
    code: str
    name: str
    kind: OfficeKind
    parent_id: int | None
    path: str
    time_zone: str
    population: int | None
    active: bool
    settings: OfficeSettings

    def today(self, now: datetime) -> date:
        """The office's own business day at the instant `now`."""
        return local_day(now, self.time_zone)


@dataclass(frozen=True)
class BadRow:
    """A row of an office list that cannot be loaded. `row` counts from 1, the header being row 1."""

    row: int
    column: str
    code: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Loaded:
    added: int
    changed: int
    unchanged: int


class BadOfficeList(Exception):
    """Nothing was written: `rows` says what is wrong, row by row."""

    def __init__(self, rows: list[BadRow]) -> None:
        super().__init__(f"{len(rows)} bad rows")
        self.rows = rows


_WITH_CODE = select(Office).where(Office.code == bindparam("code"))


def get(actor: Actor, action: Action, code: str) -> OfficeView:
    """The office with this code. Raises NotFound `office_not_found`, NotAllowed."""
    # No database is asked for what cannot be a code: PostgreSQL breaks off a query with a NUL in it.
    office = db.session.scalar(_WITH_CODE, {"code": code}) if is_code(code) else None
    if office is None:
        raise NotFound("office_not_found", code=code[:40])
    require(actor, action, office.path)
    return view(office)


def by_id(actor: Actor, action: Action, office_id: int) -> OfficeView:
    """The office with this id. Raises NotFound `office_not_found`, NotAllowed."""
    code = db.session.scalar(select(Office.code).where(Office.id == office_id))
    return get(actor, action, code or "")


def children(actor: Actor, action: Action, office: OfficeView) -> list[OfficeView]:
    """The active offices right below `office`, by code."""
    require(actor, action, office.path)
    rows = db.session.scalars(select(Office).where(Office.parent_id == office.id, Office.active).order_by(Office.code))
    return [view(row) for row in rows]


def ancestors(actor: Actor, action: Action, office: OfficeView) -> list[OfficeView]:
    """The offices above `office` that the actor may see as well, topmost first (for a breadcrumb)."""
    codes = office.path.strip("/").split("/")[:-1]
    if not codes:
        return []
    rows = db.session.scalars(select(Office).where(Office.code.in_(codes)).order_by(func.length(Office.path)))
    allowed = reach(actor, action)
    return [view(row) for row in rows if allowed.includes(row.path)]


def tops(actor: Actor, action: Action) -> list[OfficeView]:
    """The offices at which the actor's reach for `action` starts, by code: where to begin looking."""
    found = reach(actor, action)
    if found.everywhere:
        rows = db.session.scalars(select(Office).where(Office.parent_id.is_(None)))
    else:
        rows = db.session.scalars(select(Office).where(Office.path.in_((*found.offices, *found.subtrees))))
    return [view(row) for row in sorted(rows, key=lambda row: row.code)]


def search(actor: Actor, action: Action, words: str, limit: int = 50) -> list[OfficeView]:
    """Offices in reach whose name contains `words` or whose code starts with them, by code."""
    if "\x00" in words:
        return []
    rows = db.session.scalars(
        select(Office).where(in_reach(reach(actor, action)), _named_like(words)).order_by(Office.code).limit(limit)
    )
    return [view(row) for row in rows]


def _named_like(words: str) -> ColumnElement[bool]:
    pattern = words.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(
        func.lower(Office.name).like(f"%{pattern}%", escape="\\"),
        func.lower(Office.code).like(f"{pattern}%", escape="\\"),
    )


def listed(
    actor: Actor, action: Action, *, under: str | None, words: str, after: str | None, limit: int
) -> list[OfficeView]:
    """Offices in reach by code, from the first code after `after`: those at or below the office with code `under`,
    with `words` as `search` has them. Raises NotFound `office_not_found`, NotAllowed for `under`."""
    query = select(Office).where(in_reach(reach(actor, action)))
    if under is not None:
        query = query.where(within(get(actor, action, under).path))
    if words:
        query = query.where(_named_like(words))
    if after is not None:
        query = query.where(by_code() > after)
    return [view(row) for row in db.session.scalars(query.order_by(by_code()).limit(limit))]


def by_code() -> ColumnElement[str]:
    """Codes byte by byte, so that a list goes on where it stopped whatever the cluster's locale."""
    return Office.code.collate("C" if on_postgresql() else "BINARY")


def in_reach(allowed: Reach, office: Any = Office) -> ColumnElement[bool]:
    """SQL over Office (or an alias of it): the offices that `allowed` includes. Every query on behalf of an actor
    carries it."""
    if allowed.everywhere:
        return true()
    parts = [within(path, office) for path in allowed.subtrees]
    if allowed.offices:
        parts.append(office.path.in_(allowed.offices))
    return or_(*parts) if parts else false()


def code_below(path: Any, parts: Any, letters: Any) -> ColumnElement[str]:
    """SQL: of a path below another, which has so many parts and letters, the code that comes next: that of the office
    right below; empty for the office itself."""
    if on_postgresql():
        return func.split_part(path, "/", parts + 1)
    rest = func.substr(path, letters + 1)
    return func.substr(rest, 1, func.instr(rest, "/") - 1)


def change_settings(
    actor: Actor, now: datetime, code: str, settings: OfficeSettings, *, seen: OfficeSettings | None = None
) -> OfficeView:
    """Set lead time, review period, service level and working week. With `seen` only as long as they are still what
    somebody saw. Raises Invalid, NotFound, NotAllowed, Refusal `version_stale`."""
    office = get(actor, Action.MANAGE_OFFICES, code)
    check_settings(settings)
    still = [getattr(Office, name) == value for name, value in asdict(seen).items()] if seen else []
    changed = {name: value for name, value in asdict(settings).items() if value != getattr(office.settings, name)}

    def put(session: Session) -> None:
        values = update(Office).where(Office.id == office.id, *still).values(asdict(settings)).returning(Office.id)
        if session.execute(values).one_or_none() is None:
            raise Refusal("version_stale")
        for name, value in changed.items():
            facts = {"setting": name, "before": str(getattr(office.settings, name)), "after": str(value)}
            audit.note(
                session, now, actor, Event.SETTING_CHANGED, office_id=office.id, subject=office.code, facts=facts
            )

    write(put)
    return get(actor, Action.MANAGE_OFFICES, code)


def add_calendar_day(actor: Actor, now: datetime, code: str, day: date, *, open_: bool, name: str) -> None:
    """Say that an office is open (outreach) or closed on a day, whatever its week says; a second word replaces
    the first. Raises Invalid `calendar_name_missing`, NotFound, NotAllowed."""
    office = get(actor, Action.MANAGE_OFFICES, code)
    name = check_text(name, 120)
    if not name:
        raise Invalid("calendar_name_missing")

    def put(session: Session) -> None:
        # As those who plan outreach do: of two who speak of one day, the second finds what the first has said.
        session.execute(select(Office.id).where(Office.id == office.id).with_for_update(key_share=True))
        row = session.scalar(select(CalendarDay).where(CalendarDay.office_id == office.id, CalendarDay.day == day))
        if row is None:
            row = CalendarDay(office_id=office.id, day=day)
            session.add(row)
        row.open, row.name, row.by_plan = open_, name, False
        facts = {"setting": "calendar", "day": day, "after": "open" if open_ else "closed", "name": name}
        audit.note(session, now, actor, Event.SETTING_CHANGED, office_id=office.id, subject=office.code, facts=facts)

    write(put)


def calendar_days(actor: Actor, code: str, since: date) -> list[tuple[date, bool, str]]:
    """The office's own days from `since` on: (day, open, name)."""
    office = get(actor, Action.MANAGE_OFFICES, code)
    rows = db.session.execute(
        select(CalendarDay.day, CalendarDay.open, CalendarDay.name)
        .where(CalendarDay.office_id == office.id, CalendarDay.day >= since)
        .order_by(CalendarDay.day)
    )
    return [(day, is_open, name) for day, is_open, name in rows]


def official_list() -> Iterable[Mapping[str, str]]:
    """The country's official list, as shipped: 38 provinces, 514 regencies and cities, 7,285 districts.

    Codes of Kepmendagri 300.2.2-2138/2025, from the MIT-licensed data set cahyadsn/wilayah.
    """
    text = (files("inventory") / "data" / "offices.csv").read_text(encoding="utf-8")
    yield from csv.DictReader(io.StringIO(text))


def load_csv(actor: Actor, stream: TextIO) -> Loaded:
    """Load an office list: columns code, name, kind, parent, time_zone, population. See `load`.

    Raises BadOfficeList also for a file without those columns.
    """
    reader = csv.reader(stream)
    try:
        header = next(reader, [])
        # Empty rows are passed over but counted: people find a row by the number that their spreadsheet gives it.
        rows = [(number, dict(zip(header, row, strict=False))) for number, row in enumerate(reader, start=2) if row]
    except csv.Error:
        raise BadOfficeList([BadRow(reader.line_num, "", "file_not_a_table", {})]) from None
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise BadOfficeList([BadRow(1, name, "column_missing", {"column": name}) for name in missing])
    return _load_numbered(actor, rows)


COLUMNS = ("code", "name", "kind", "parent", "time_zone", "population")


def load(actor: Actor, rows: Iterable[Mapping[str, str | None]]) -> Loaded:
    """Add or rename offices from rows of text, parents before children or not; all or nothing, and idempotent.

    An empty parent means the ministry, which is made when there is none. Settings of offices that exist are kept.
    Raises BadOfficeList with every bad row; NotAllowed unless the actor manages the whole tree.
    """
    return _load_numbered(actor, enumerate(rows, start=2))


def _load_numbered(actor: Actor, rows: Iterable[tuple[int, Mapping[str, str | None]]]) -> Loaded:
    allowed = reach(actor, Action.MANAGE_OFFICES)
    if not (allowed.everywhere or f"{ROOT_CODE}/" in allowed.subtrees):
        raise NotAllowed("not_allowed", action=Action.MANAGE_OFFICES.value)
    listed = [
        (number, {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)})
        for number, row in rows
    ]
    return write(lambda session: _load(session, listed))


def _load(session: Session, listed: list[tuple[int, dict[str, str]]]) -> Loaded:
    known = {office.code: office for office in session.scalars(select(Office))}
    if ROOT_CODE not in known:
        known[ROOT_CODE] = _root()
        session.add(known[ROOT_CODE])
        session.flush()
    bad = _bad_rows(listed, {code: OfficeKind(office.kind) for code, office in known.items()})
    bad += _moved(listed, known)
    if bad:
        raise BadOfficeList(bad)
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    depth = {kind: rank for rank, kind in enumerate(OfficeKind)}
    for _, row in sorted(listed, key=lambda each: depth[OfficeKind(each[1]["kind"])]):
        counts[_put(session, known, row)] += 1
        # A parent must have its id before its children name it; flushing per level would be enough, and the
        # session does just that: it flushes when the first child of a new parent asks for `parent.id`.
    session.flush()
    return Loaded(**counts)


def _root() -> Office:
    return Office(
        code=ROOT_CODE,
        name=ROOT_NAME,
        kind=OfficeKind.MINISTRY,
        path=path_of(ROOT_CODE, None),
        time_zone="Asia/Jakarta",
        **asdict(OfficeSettings()),
    )


def _put(session: Session, known: dict[str, Office], row: Mapping[str, str]) -> str:
    parent = known[row["parent"] or ROOT_CODE]
    if parent.id is None:
        session.flush()
    values = {
        "name": row["name"],
        "time_zone": row["time_zone"],
        "population": int(row["population"]) if row["population"] else None,
    }
    office = known.get(row["code"])
    if office is None:
        office = Office(
            code=row["code"],
            kind=row["kind"],
            parent_id=parent.id,
            path=path_of(row["code"], parent.path),
            **values,
            **asdict(OfficeSettings()),
        )
        known[row["code"]] = office
        session.add(office)
        return "added"
    if all(getattr(office, name) == value for name, value in values.items()):
        return "unchanged"
    for name, value in values.items():
        setattr(office, name, value)
    return "changed"


def _bad_rows(listed: list[tuple[int, dict[str, str]]], known: dict[str, OfficeKind]) -> list[BadRow]:
    kinds = known | {row["code"]: OfficeKind(row["kind"]) for _, row in listed if row.get("kind") in set(OfficeKind)}
    seen: set[str] = set()
    bad: list[BadRow] = []
    for number, row in listed:
        for column, check in _CHECKS.items():
            try:
                check(row, kinds, known, seen)
            except Invalid as refusal:
                bad.append(BadRow(number, column, refusal.code, refusal.facts))
        seen.add(row.get("code", ""))
    return bad


def _moved(listed: list[tuple[int, dict[str, str]]], known: Mapping[str, Office]) -> list[BadRow]:
    """Rows that would hang a known office elsewhere: its books stay where they were kept."""
    parents = {code: office.path.strip("/").split("/")[-2] for code, office in known.items() if code != ROOT_CODE}
    return [
        BadRow(number, "parent", "office_parent_changed", {"code": row["code"]})
        for number, row in listed
        if row.get("code") in parents and (row.get("parent") or ROOT_CODE) != parents[row["code"]]
    ]


Kinds = Mapping[str, OfficeKind]


def _check_code(row: Mapping[str, str], _kinds: Kinds, _known: Kinds, seen: set[str]) -> None:
    code = check_code(row.get("code", ""))
    if code in seen:
        raise Invalid("office_code_twice", code=code)


def _check_name(row: Mapping[str, str], *_: object) -> None:
    if not 1 <= len(row.get("name", "")) <= 120:
        raise Invalid("office_name_length")
    check_text(row["name"], 120)


def _check_kind(row: Mapping[str, str], _kinds: Kinds, known: Kinds, _seen: set[str]) -> None:
    kind = row.get("kind", "")
    if kind not in set(OfficeKind):
        raise Invalid("office_kind_unknown", kind=kind[:40])
    if known.get(row.get("code", ""), kind) != kind:
        raise Invalid("office_kind_changed", code=row["code"])


def _check_parent(row: Mapping[str, str], kinds: Kinds, _known: Kinds, _seen: set[str]) -> None:
    parent, kind = row.get("parent", ""), row.get("kind", "")
    if parent and parent not in kinds:
        raise Invalid("office_parent_unknown", parent=parent[:40])
    if kind in set(OfficeKind):
        check_parent(OfficeKind(kind), kinds[parent] if parent else OfficeKind.MINISTRY)


def _check_time_zone(row: Mapping[str, str], *_: object) -> None:
    check_time_zone(row.get("time_zone", ""))


def _check_population(row: Mapping[str, str], *_: object) -> None:
    text = row.get("population", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Invalid("population_not_a_number", text=text[:40])


_CHECKS = {
    "code": _check_code,
    "name": _check_name,
    "kind": _check_kind,
    "parent": _check_parent,
    "time_zone": _check_time_zone,
    "population": _check_population,
}


def view(office: Office) -> OfficeView:
    """The plain value of a row."""
    return OfficeView(
        id=office.id,
        code=office.code,
        name=office.name,
        kind=OfficeKind(office.kind),
        parent_id=office.parent_id,
        path=office.path,
        time_zone=office.time_zone,
        population=office.population,
        active=office.active,
        settings=OfficeSettings(
            lead_time_days=office.lead_time_days,
            review_period_days=office.review_period_days,
            service_level=office.service_level,
            working_days=office.working_days,
            destroy_within_days=office.destroy_within_days,
        ),
    )
