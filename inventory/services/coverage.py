"""Known figures and equipment: recording what is reported, and telling how far enrolment and printing have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, and_, case, func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db, in_batches
from inventory.domain.access import Action, Actor, Reach, reach
from inventory.domain.coverage import (
    EQUIPMENT,
    MEASURES,
    SHARES,
    Contradiction,
    Equipment,
    Figure,
    Share,
    check_equipment,
    check_figure,
    contradictions,
    latest_shares,
    shares_by_day,
    topmost,
)
from inventory.domain.errors import Invalid
from inventory.domain.ledger import body_digest, check_day
from inventory.domain.offices import OfficeKind
from inventory.models import EquipmentReport, FigureEntry, Office, Person, ReportedFigure
from inventory.models.offices import within
from inventory.services import offices, row_sets
from inventory.services.consumption import FIRST_DAY
from inventory.services.idempotency import once
from inventory.services.offices import OfficeView, in_reach

REPORTS_A_PAGE = 50
MOST_REPORTS = 2000
"""Of one office, the newest: what lies before them is in the export."""
MOST_DAYS = 24
"""Of the history of shares."""
MOST_OFFICES = 100
"""In the list of equipment, those with something out of order first."""
_BATCH = 500

Key = tuple[int, date, str, str]
"""What tells figures apart: office, day, measure, source."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many rows of an entry were new, corrected an earlier one, or said what was on record already."""

    entry_id: int
    added: int
    corrected: int
    known: int


@dataclass(frozen=True)
class Change:
    """What a figure does to the record: "added", "corrected" (then `earlier` is what counted before) or "known"."""

    office_id: int
    figure: Figure
    revision: int
    kind: str
    earlier: int | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """A row as it was recorded. `superseded` when a later row of the same source corrects it."""

    figure: Figure
    recorded_at: datetime
    recorded_by: str | None
    superseded: bool


@dataclass(frozen=True, kw_only=True)
class Told:
    """A measure's newest figure, or, where the office itself has not reported it, the sum of the newest ones of the
    offices `below`; `silent` are those right below of which nothing is known. `source` is empty for a sum."""

    measure: str
    value: int
    since: date
    until: date
    source: str = ""
    below: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ToldShare:
    """A share, of the office's own figures or of those of the offices `below`, each of one day since `since`."""

    share: Share
    since: date
    below: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OfficeEquipment:
    """The newest reports of one office, by kind."""

    office_code: str
    office_name: str
    by_kind: Mapping[str, Equipment]

    @property
    def out_of_order(self) -> int:
        return sum(each.out_of_order for each in self.by_kind.values())

    @property
    def capacity(self) -> int:
        return sum(each.capacity for each in self.by_kind.values())


@dataclass(frozen=True, kw_only=True)
class EquipmentTold:
    """A subtree's equipment: what works and what does not by kind, the cards a day that the working printers can
    print, how many of its offices have reported, and the first of them."""

    working: Mapping[str, int]
    out_of_order: Mapping[str, int]
    capacity: int
    reporting: int
    offices: int
    rows: tuple[OfficeEquipment, ...]


@dataclass(frozen=True, kw_only=True)
class CoverageView:
    """An office's coverage. Days are the office's own; the newest of everything comes first."""

    office: OfficeView
    figures: Mapping[str, Told]
    shares: Mapping[str, ToldShare]
    contradictions: tuple[Contradiction, ...]
    history: tuple[tuple[date, Mapping[str, Share], Mapping[str, int]], ...]
    """Day, shares, and the figures of that day."""
    reports: tuple[Report, ...]
    page: int
    pages: int
    equipment: EquipmentTold


OLDEST_BACKLOG = timedelta(days=365)
"""A backlog that was reported longer ago says nothing of the days ahead: offices report once a year at least, and who
waited then has since been printed among the usual requests, which the history knows."""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Who waits at one office, as it reports: `print_ready` and `not_enrolled` are of the newest day on which either
    was reported (`as_of`), so that a list of years ago does not stand beside one of today; None is "not reported".
    `outdated` is the print-ready figure where that day is more than OLDEST_BACKLOG ago: then both are None.
    `digital` and `enrolled` are the newest of each, on `digital_as_of` and `enrolled_as_of`."""

    print_ready: int | None = None
    not_enrolled: int | None = None
    outdated: int | None = None
    as_of: date | None = None
    source: str = ""
    digital: int | None = None
    digital_as_of: date | None = None
    digital_source: str = ""
    enrolled: int | None = None
    enrolled_as_of: date | None = None


# --- recording ---------------------------------------------------------------------------------------------------


def record(actor: Actor, now: datetime, request_id: UUID, office_code: str, figures: Sequence[Figure]) -> Written:
    """Keep figures of an office as they are reported. What is on record already is passed over; another value of the
    same source, day and measure is a correction: the last one counts, and the earlier one stays to be seen.

    A repeated request finds what it wrote. Raises NotFound, NotAllowed; Invalid `nothing_entered`, `measure_unknown`,
    `source_missing`, `day_in_future`, `day_too_early`, what `check_figure` raises; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.RECORD_FIGURES, office_code)
    checked = [check_figure(figure) for figure in figures]
    if not checked:
        raise Invalid("nothing_entered")
    for figure in checked:
        check_day(figure.as_of, office.today(now), FIRST_DAY)
    entry = _entry(actor, now, request_id, office.id, {"figures": [vars(figure) for figure in checked]})

    def put(session: Session) -> int:
        found = changes(session, [(office.id, figure) for figure in checked], hold=True)
        entry_id = _insert_entry(session, entry, [each.kind for each in found])
        insert_figures(session, actor, now, entry_id, found)
        return entry_id

    return _written_once(entry, put)


def record_equipment(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, equipment: Sequence[Equipment]
) -> Written:
    """Keep how many machines of a kind work at an office as of a day, and how many do not: as for `record`, the last
    word on a day counts.

    Raises NotFound, NotAllowed; Invalid `nothing_entered`, `day_in_future`, `day_too_early`, what `check_equipment`
    raises; Refusal `request_id_reused`.
    """
    office = offices.get(actor, Action.RECORD_FIGURES, office_code)
    checked = [check_equipment(each) for each in equipment]
    if not checked:
        raise Invalid("nothing_entered")
    for each in checked:
        check_day(each.as_of, office.today(now), FIRST_DAY)
    entry = _entry(actor, now, request_id, office.id, {"equipment": [vars(each) for each in checked]})

    def put(session: Session) -> int:
        _hold(session, [office.id])
        found = [(each, *_compared(session, office.id, each)) for each in checked]
        entry_id = _insert_entry(session, entry, [kind for _, kind, _ in found])
        rows = [
            vars(each) | {"office_id": office.id, "revision": revision} | _signed(actor, now, entry_id)
            for each, kind, revision in found
            if kind != "known"
        ]
        if rows:
            session.execute(insert(EquipmentReport), rows)
        return entry_id

    return _written_once(entry, put)


def changes(session: Session, rows: Sequence[tuple[int, Figure]], *, hold: bool = False) -> list[Change]:
    """What figures (with their offices' ids) do to the record. With `hold` nobody else can write to these offices'
    figures until the transaction ends, so that it stays so."""
    if hold:
        _hold(session, {office_id for office_id, _ in rows})
    last = _last(session, rows)
    found = []
    for office_id, figure in rows:
        key = (office_id, figure.as_of, figure.measure, figure.source)
        before = last.get(key)
        if before is None:
            found.append(Change(office_id, figure, 1, "added"))
        elif before[1] == figure.value:
            found.append(Change(office_id, figure, before[0], "known", figure.value))
        else:
            found.append(Change(office_id, figure, before[0] + 1, "corrected", before[1]))
        last[key] = (found[-1].revision, figure.value)
    return found


def insert_figures(session: Session, actor: Actor, now: datetime, entry_id: int, found: Sequence[Change]) -> None:
    """Write down those changes that say something new."""
    rows = [
        vars(each.figure) | {"office_id": each.office_id, "revision": each.revision} | _signed(actor, now, entry_id)
        for each in found
        if each.kind != "known"
    ]
    if rows:
        session.execute(insert(ReportedFigure), rows)


def _hold(session: Session, office_ids: Iterable[int]) -> None:
    """Let nobody else compare and write for these offices meanwhile. (SQLite has one writer at a time anyway.)
    Movements of the offices go on: they do not wait for this kind of lock."""
    for some in batches(office_ids):
        held = select(Office.id).where(Office.id.in_(some)).order_by(Office.id)
        session.execute(held.with_for_update(key_share=True)).all()


def _last(session: Session, rows: Sequence[tuple[int, Figure]]) -> dict[Key, tuple[int, int]]:
    """The last revision and value of each key that the rows may meet."""
    days = [figure.as_of for _, figure in rows]
    found: dict[Key, tuple[int, int]] = {}
    for some in batches({office_id for office_id, _ in rows}):
        query = select(*(getattr(ReportedFigure, name) for name in _COMPARED)).where(
            ReportedFigure.office_id.in_(some), ReportedFigure.as_of.between(min(days), max(days))
        )
        for *key, revision, value in session.execute(query.order_by(ReportedFigure.revision)):
            found[key[0], key[1], key[2], key[3]] = (revision, value)
    return found


_COMPARED = ("office_id", "as_of", "measure", "source", "revision", "value")
_SAID = ("working", "out_of_order", "cards_a_day", "source")


def _compared(session: Session, office_id: int, said: Equipment) -> tuple[str, int]:
    """What a report of equipment does to the record, and its revision."""
    before = session.execute(
        select(EquipmentReport)
        .where(
            EquipmentReport.office_id == office_id,
            EquipmentReport.kind == said.kind,
            EquipmentReport.as_of == said.as_of,
        )
        .order_by(EquipmentReport.revision.desc())
        .limit(1)
    ).scalar_one_or_none()
    if before is None:
        return "added", 1
    if all(getattr(before, name) == getattr(said, name) for name in _SAID):
        return "known", before.revision
    return "corrected", before.revision + 1


def _entry(
    actor: Actor, now: datetime, request_id: UUID, office_id: int, said: Mapping[str, object]
) -> dict[str, object]:
    return {
        "request_id": request_id,
        "request_digest": body_digest(actor.person_id, (), {"office": office_id} | dict(said)),
        "office_id": office_id,
        "status": "recorded",
        "checked_at": now,
        "checked_by_id": actor.person_id,
        "recorded_at": now,
    }


def _insert_entry(session: Session, entry: Mapping[str, object], kinds: Sequence[str]) -> int:
    statement = insert(FigureEntry).values(**entry, **counts(kinds)).returning(FigureEntry.id)
    return session.execute(statement).scalar_one()


def counts(kinds: Sequence[str]) -> dict[str, int]:
    """How many changes there are of each kind."""
    return {kind: list(kinds).count(kind) for kind in ("added", "corrected", "known")}


def _signed(actor: Actor, now: datetime, entry_id: int) -> dict[str, object]:
    return {"entry_id": entry_id, "recorded_at": now, "recorded_by_id": actor.person_id}


def _written_once(entry: Mapping[str, Any], put: Callable[[Session], int]) -> Written:
    """Write once per request id, and tell what was written then."""
    entry_id = once(FigureEntry, FigureEntry.id, entry["request_id"], entry["request_digest"], put)
    counted = (FigureEntry.added, FigureEntry.corrected, FigureEntry.known)
    added, corrected, known = db.session.execute(select(*counted).where(FigureEntry.id == entry_id)).one()
    return Written(entry_id=entry_id, added=added, corrected=corrected, known=known)


def batches(ids: Iterable[int]) -> Iterator[list[int]]:
    return in_batches(sorted(set(ids)), _BATCH)


# --- telling -----------------------------------------------------------------------------------------------------


def show(actor: Actor, office_code: str, page: int = 1) -> CoverageView:
    """What is known of an office's coverage and of that of the offices below it, as far as the actor may see them.
    `page` is of the list of reports, from 1. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    allowed = reach(actor, Action.VIEW_STOCK)
    reports = _reports(office.id)
    # The last one given counts, so the oldest comes first.
    own = [each.figure for each in reversed(reports) if not each.superseded]
    below = _Below(actor, office, allowed)
    by_day = shares_by_day(own)
    pages = max(1, -(-len(reports) // REPORTS_A_PAGE))
    page = min(max(page, 1), pages)
    start = (page - 1) * REPORTS_A_PAGE
    return CoverageView(
        office=office,
        figures=_figures(own, below),
        shares=_shares(own, below),
        contradictions=tuple(contradictions(own)),
        history=tuple(_history(own, by_day)),
        reports=tuple(reports[start : start + REPORTS_A_PAGE]),
        page=page,
        pages=pages,
        equipment=_equipment_below(office, allowed),
    )


def counting(office_ids: Iterable[int]) -> dict[int, list[Figure]]:
    """Of each office the figures that count, the last one given last. The caller has checked who may see them."""
    found: dict[int, dict[tuple[date, str, str], Figure]] = defaultdict(dict)
    for some in batches(office_ids):
        rows = select(ReportedFigure).where(ReportedFigure.office_id.in_(some)).order_by(ReportedFigure.id)
        for row in db.session.scalars(rows):
            figure = Figure(measure=row.measure, value=row.value, as_of=row.as_of, source=row.source, note=row.note)
            key = (row.as_of, row.measure, row.source)
            found[row.office_id].pop(key, None)
            found[row.office_id][key] = figure
    return {office_id: list(figures.values()) for office_id, figures in found.items()}


def equipment_of(actor: Actor, office_code: str) -> Mapping[str, Equipment]:
    """The newest report of an office's own equipment, by kind. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.RECORD_FIGURES, office_code)
    return {row.kind: _equipment(row) for row in db.session.execute(_newest_equipment(Office.id == office.id))}


def _reports(office_id: int) -> list[Report]:
    """An office's newest rows; those of one day in the order of the measures, the last recorded first."""
    rows = db.session.execute(
        select(ReportedFigure, Person.full_name)
        .outerjoin(Person, Person.id == ReportedFigure.recorded_by_id)
        .where(ReportedFigure.office_id == office_id)
        .order_by(ReportedFigure.as_of.desc(), ReportedFigure.id.desc())
        .limit(MOST_REPORTS)
    ).all()
    counting: dict[tuple[date, str, str], int] = {}
    for row, _ in rows:
        counting.setdefault((row.as_of, row.measure, row.source), row.revision)
    found = [
        Report(
            figure=Figure(measure=row.measure, value=row.value, as_of=row.as_of, source=row.source, note=row.note),
            recorded_at=row.recorded_at,
            recorded_by=name,
            superseded=row.revision < counting[row.as_of, row.measure, row.source],
        )
        for row, name in rows
    ]
    return sorted(found, key=lambda each: (-each.figure.as_of.toordinal(), MEASURES.index(each.figure.measure)))


def _history(
    own: Sequence[Figure], by_day: Sequence[tuple[date, dict[str, Share]]]
) -> Iterator[tuple[date, Mapping[str, Share], Mapping[str, int]]]:
    values: dict[date, dict[str, int]] = defaultdict(dict)
    for figure in own:
        values[figure.as_of][figure.measure] = figure.value
    for day, shares in by_day[:MOST_DAYS]:
        yield day, shares, values[day]


@dataclass
class _Below:
    """The newest figures of the offices below one, by path, and the offices right below it."""

    actor: Actor
    office: OfficeView
    allowed: Reach
    names: dict[str, str] = field(default_factory=dict)
    figures: dict[str, list[Figure]] = field(default_factory=lambda: defaultdict(list))
    children: list[OfficeView] = field(default_factory=list)

    def __post_init__(self) -> None:
        there = and_(within(self.office.path), in_reach(self.allowed), Office.id != self.office.id)
        for row in db.session.execute(_newest(ReportedFigure, ReportedFigure.measure, there)):
            self.names[row.path] = row.name
            self.figures[row.path].append(
                Figure(measure=row.measure, value=row.value, as_of=row.as_of, source=row.source)
            )
        found = offices.children(self.actor, Action.VIEW_STOCK, self.office)
        self.children = [
            each for each in found if each.kind is not OfficeKind.OUTREACH and self.allowed.includes(each.path)
        ]

    def named(self, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Which offices are in a sum, and which right below have no part in it."""
        silent = [each for each in self.children if not any(path.startswith(each.path) for path in paths)]
        return {"below": tuple(self.names[path] for path in paths), "silent": tuple(each.name for each in silent)}


def _newest(table: Any, kind: Any, condition: Any) -> Any:
    """SQL: of each office and kind the newest row, with its office's path, code and name."""
    place = func.row_number().over(partition_by=(table.office_id, kind), order_by=(table.as_of.desc(), table.id.desc()))
    ranked = (
        select(table, Office.path, Office.code, Office.name, place.label("place"))
        .join(Office, Office.id == table.office_id)
        .where(condition)
        .subquery()
    )
    return select(ranked).where(ranked.c.place == 1).order_by(ranked.c.path)


def _figures(own: Sequence[Figure], below: _Below) -> dict[str, Told]:
    newest: dict[str, Figure] = {}
    for figure in own:
        newest[figure.measure] = figure
    found: dict[str, Told] = {
        figure.measure: Told(
            measure=figure.measure,
            value=figure.value,
            since=figure.as_of,
            until=figure.as_of,
            source=figure.source,
        )
        for figure in newest.values()
    }
    for measure in MEASURES:
        if measure not in found:
            summed = {
                path: figure for path, given in below.figures.items() for figure in given if figure.measure == measure
            }
            if summed:
                found[measure] = _sum_of(measure, summed, below)
    return {measure: found[measure] for measure in MEASURES if measure in found}


def _sum_of(measure: str, summed: Mapping[str, Figure], below: _Below) -> Told:
    paths = topmost(summed)
    days = [summed[path].as_of for path in paths]
    value = sum(summed[path].value for path in paths)
    named: dict[str, Any] = below.named(paths)
    return Told(measure=measure, value=value, since=min(days), until=max(days), **named)


def _shares(own: Sequence[Figure], below: _Below) -> dict[str, ToldShare]:
    found = {name: ToldShare(share=share, since=share.as_of) for name, share in latest_shares(own).items()}
    by_office = {path: latest_shares(given) for path, given in below.figures.items()}
    for name in SHARES:
        paths = topmost(path for path, shares in by_office.items() if name in shares)
        if name in found or not paths:
            continue
        parts = [by_office[path][name] for path in paths]
        share = Share(
            part=sum(each.part for each in parts),
            whole=sum(each.whole for each in parts),
            as_of=max(each.as_of for each in parts),
            derived=any(each.derived for each in parts),
        )
        found[name] = ToldShare(share=share, since=min(each.as_of for each in parts), **below.named(paths))
    return found


def _equipment_below(office: OfficeView, allowed: Reach) -> EquipmentTold:
    there = and_(within(office.path), in_reach(allowed))
    by_office: dict[tuple[str, str], dict[str, Equipment]] = defaultdict(dict)
    for row in db.session.execute(_newest_equipment(there)):
        by_office[row.code, row.name][row.kind] = _equipment(row)
    rows = [OfficeEquipment(office_code=code, office_name=name, by_kind=d) for (code, name), d in by_office.items()]
    machines = [each for row in rows for each in row.by_kind.values()]
    kept = select(func.count()).select_from(Office).where(there, Office.active, Office.kind != OfficeKind.OUTREACH)
    return EquipmentTold(
        working={kind: sum(each.working for each in machines if each.kind == kind) for kind in EQUIPMENT},
        out_of_order={kind: sum(each.out_of_order for each in machines if each.kind == kind) for kind in EQUIPMENT},
        capacity=sum(each.capacity for each in machines),
        reporting=len(rows),
        offices=db.session.scalar(kept) or 0,
        rows=tuple(sorted(rows, key=lambda row: (-row.out_of_order, row.office_code))[:MOST_OFFICES]),
    )


def _newest_equipment(condition: Any) -> Any:
    return _newest(EquipmentReport, EquipmentReport.kind, condition)


def _equipment(row: Any) -> Equipment:
    return Equipment(**{name: getattr(row, name) for name in Equipment.__dataclass_fields__})


# --- for the projection ------------------------------------------------------------------------------------------

_WAITING = ("print_ready", "not_enrolled")
_ASKED = (*_WAITING, "digital_id", "enrolled")


def backlog_of(office_ids: Iterable[int], on: date) -> dict[int, Backlog]:
    """Who waits at these offices by what each reported itself, as of `on` or before; offices that have reported
    nothing of it are left out. One query, however many offices."""
    table = ReportedFigure
    asked = row_sets.table_of("asked", [(office_id,) for office_id in office_ids], {"office_id": Integer})
    group = case((table.measure.in_(_WAITING), "waiting"), else_=table.measure)
    ranked = (
        select(
            *(getattr(table, name) for name in ("office_id", "measure", "value", "as_of", "source")),
            func.row_number()
            .over(partition_by=(table.office_id, table.measure, table.as_of), order_by=table.id.desc())
            .label("said"),
            func.dense_rank().over(partition_by=(table.office_id, group), order_by=table.as_of.desc()).label("day"),
        )
        .where(table.office_id.in_(select(asked.c.office_id)), table.measure.in_(_ASKED), table.as_of <= on)
        .subquery()
    )
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for row in db.session.execute(select(ranked).where(ranked.c.said == 1, ranked.c.day == 1)):
        found[row.office_id][row.measure] = row
    return {office_id: _backlog(rows, on) for office_id, rows in found.items()}


def _backlog(rows: Mapping[str, Any], on: date) -> Backlog:
    waiting = next((rows[name] for name in _WAITING if name in rows), None)
    print_ready, not_enrolled = (rows[name].value if name in rows else None for name in _WAITING)
    outdated = None
    if waiting is not None and on - waiting.as_of > OLDEST_BACKLOG:
        outdated, print_ready, not_enrolled = print_ready, None, None
    digital, enrolled = rows.get("digital_id"), rows.get("enrolled")
    return Backlog(
        print_ready=print_ready,
        not_enrolled=not_enrolled,
        outdated=outdated,
        as_of=waiting.as_of if waiting else None,
        source=waiting.source if waiting else "",
        digital=digital.value if digital else None,
        digital_as_of=digital.as_of if digital else None,
        digital_source=digital.source if digital else "",
        enrolled=enrolled.value if enrolled else None,
        enrolled_as_of=enrolled.as_of if enrolled else None,
    )


def capacity_of(office_ids: Iterable[int], on: date) -> dict[int, int]:
    """Cards a day that the working printers of these offices themselves can print, by the newest report as of `on` or
    before; 0 when all are out of order. Offices that never reported a printer are left out. One query."""
    table = EquipmentReport
    place = func.row_number().over(partition_by=table.office_id, order_by=(table.as_of.desc(), table.id.desc()))
    ranked = (
        select(table.office_id, (table.working * table.cards_a_day).label("capacity"), place.label("place"))
        .where(table.office_id.in_(list(office_ids)), table.kind == "printer", table.as_of <= on)
        .subquery()
    )
    rows = db.session.execute(select(ranked.c.office_id, ranked.c.capacity).where(ranked.c.place == 1))
    return {row.office_id: row.capacity for row in rows}
