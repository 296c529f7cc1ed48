"""Files of known figures: looked through first, then recorded, all or nothing, once."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from inventory.adapters import spreadsheets
from inventory.db import db, write
from inventory.domain.access import Action, Actor, reach, require
from inventory.domain.audit import Event
from inventory.domain.coverage import (
    FIELDS,
    MAX_ROWS,
    TEMPLATE_FIELDS,
    Contradiction,
    Figure,
    check_figure,
    contradictions,
    measure_of,
)
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.imports import (
    Fault,
    Row,
    code_spellings,
    fault,
    fields_known,
    is_passed_over,
    match_fields,
    read_row,
)
from inventory.domain.ledger import body_digest, check_day
from inventory.domain.offices import local_day
from inventory.models import FigureEntry, Office, Person
from inventory.services import audit, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.coverage import batches, changes, counting, counts, insert_figures
from inventory.services.idempotency import once
from inventory.services.lookup import the_row

MOST_FAULTS = 200
MOST_SHOWN = 200
"""Faults, and rows of a file that waits; all of them are counted."""
KEPT_FOR = timedelta(days=1)
"""How long a file that was looked through waits to be recorded."""


@dataclass
class Checked:
    """What was found in a file. `entry_id` is there when every row is good: it waits to be recorded."""

    entry_id: int | None = None
    row_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0

    def note(self, found: Fault) -> None:
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(found)


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """A file that waits, or was recorded: how many rows are new, correct an earlier figure, or are known already."""

    id: int
    office_code: str
    office_path: str
    status: str
    file_name: str
    added: int
    corrected: int
    known: int
    checked_at: datetime
    checked_by: str | None
    recorded_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RowView:
    """A row of a file that waits; `earlier` is the figure that it corrects."""

    office_code: str
    figure: Figure
    change: str
    earlier: int | None


Read = tuple[int, int, Figure]
"""A row's number in the file, its office's id, and its figure."""


def check(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    file_name: str,
    data: bytes,
    *,
    group_separator: str,
    max_bytes: int,
) -> Checked:
    """Look through a file of figures without recording anything. Numbers in text are grouped by `group_separator`.

    A file with a bad row is not kept; each bad row is told with its column and the reason. A repeated request finds
    its file. Raises NotFound, NotAllowed; Invalid `file_too_large`, `file_inflates`, `file_not_a_table`,
    `rows_too_many`, `column_missing`, `column_unknown`, `column_twice`, `nothing_entered`; Refusal
    `request_id_reused`.
    """
    office = offices.get(actor, Action.RECORD_FIGURES, office_code)
    if len(data) > max_bytes:
        raise Invalid("file_too_large", limit=max_bytes // 1_000_000 or 1)
    found = Checked()
    good = _look_through(actor, now, data, group_separator, found)
    if not found.row_count:
        raise Invalid("nothing_entered")
    if found.fault_count:
        found.faults.sort(key=lambda each: each.row)
        return found
    digest = body_digest(actor.person_id, (), {"office": office.id, "file": hashlib.sha256(data).hexdigest()})
    values = {
        "request_id": request_id,
        "request_digest": digest,
        "office_id": office.id,
        "status": "checked",
        "file_name": _name(file_name),
        "content": _packed(good),
        "checked_at": now,
        "checked_by_id": actor.person_id,
    }
    found.entry_id = _keep(now, values, [(office_id, figure) for _, office_id, figure in good])
    return found


def run(actor: Actor, now: datetime, entry_id: int) -> EntryView:
    """Record every row of a file that was looked through, in one transaction; where that is done already, nothing.

    Raises NotFound `figure_entry_not_found`, NotAllowed.
    """
    found = get(actor, entry_id)
    if found.status == "recorded":
        return found
    rows = _waiting(entry_id)
    _require_offices(actor, rows)

    def put(session: Session) -> None:
        made = changes(session, [(office_id, figure) for _, office_id, figure in rows], hold=True)
        taken = session.execute(
            update(FigureEntry)
            .where(FigureEntry.id == entry_id, FigureEntry.status == "checked")
            .values(status="recorded", content=None, recorded_at=now, **counts([each.kind for each in made]))
            .returning(FigureEntry.id)
        ).scalar_one_or_none()
        # Of two who press the button at once, one records; what it did is what the other asked for.
        if taken is not None:
            insert_figures(session, actor, now, entry_id, made)
            facts = {"kind": "coverage", "id": entry_id, "rows": len(rows)}
            audit.note(session, now, actor, Event.IMPORTED, subject=found.file_name or "", facts=facts)

    write(put)
    return get(actor, entry_id)


def get(actor: Actor, entry_id: int) -> EntryView:
    """Raises NotFound `figure_entry_not_found`, NotAllowed."""
    query = (
        select(
            *(column for column in FigureEntry.__table__.columns if column.name not in ("content", "office_id")),
            Office.code.label("office_code"),
            Office.path.label("office_path"),
            Person.full_name.label("checked_by"),
        )
        .join(Office, Office.id == FigureEntry.office_id)
        .outerjoin(Person, Person.id == FigureEntry.checked_by_id)
        .where(FigureEntry.id == entry_id)
    )
    row = the_row(query, NotFound("figure_entry_not_found"))
    require(actor, Action.RECORD_FIGURES, row.office_path)
    return EntryView(**{name: getattr(row, name) for name in EntryView.__dataclass_fields__})


def rows_of(actor: Actor, entry_id: int) -> list[RowView]:
    """The first rows of a file that waits, and what each would do now; corrections first, then what is new."""
    get(actor, entry_id)
    rows = _waiting(entry_id)
    _require_offices(actor, rows)
    made = changes(db.session(), [(office_id, figure) for _, office_id, figure in rows])
    order = {"corrected": 0, "added": 1, "known": 2}
    shown = sorted(made, key=lambda each: order[each.kind])[:MOST_SHOWN]
    codes = _codes(each.office_id for each in shown)
    return [
        RowView(office_code=codes[each.office_id], figure=each.figure, change=each.kind, earlier=each.earlier)
        for each in shown
    ]


def contradictions_of(actor: Actor, entry_id: int) -> list[tuple[str, Contradiction]]:
    """What the figures of a file that waits would contradict once they are recorded, each with its office's code:
    among themselves and with what is on record. The first of them, by office, the newest day first."""
    get(actor, entry_id)
    rows = _waiting(entry_id)
    _require_offices(actor, rows)
    by_office: dict[int, list[Figure]] = defaultdict(list)
    for _, office_id, figure in rows:
        by_office[office_id].append(figure)
    on_record = counting(by_office)
    found: list[tuple[int, Contradiction]] = []
    for office_id, figures in by_office.items():
        touched = {(figure.as_of, figure.measure) for figure in figures}
        both = contradictions(_together(on_record.get(office_id, ()), figures))
        found += [(office_id, each) for each in both if any((each.as_of, m) in touched for m in each.measures)]
    shown = found[:MOST_SHOWN]
    codes = _codes(office_id for office_id, _ in shown)
    return [(codes[office_id], each) for office_id, each in shown]


def _together(on_record: Iterable[Figure], added: Iterable[Figure]) -> list[Figure]:
    """The figures that would count, the last one given last; one that is on record already keeps its place."""
    counted = {(each.as_of, each.measure, each.source): each for each in on_record}
    for figure in added:
        key = (figure.as_of, figure.measure, figure.source)
        if key not in counted or counted[key].value != figure.value:
            counted.pop(key, None)
            counted[key] = figure
    return list(counted.values())


def template_rows(language: str) -> list[str]:
    """The headings of an empty file."""
    return [each.heading(language) for each in TEMPLATE_FIELDS]


# --- reading -----------------------------------------------------------------------------------------------------


def _look_through(actor: Actor, now: datetime, data: bytes, group_separator: str, found: Checked) -> list[Read]:
    """The rows that could be recorded; what is wrong with the others is noted."""
    known = {row.code: row for row in db.session.execute(select(Office.id, Office.code, Office.path, Office.time_zone))}
    allowed = reach(actor, Action.RECORD_FIGURES)
    good: list[Read] = []
    seen: dict[tuple[object, ...], int] = {}
    for row in _rows(data, group_separator, found):
        code = next((each for each in code_spellings(row.values["office"]) if each in known), None)
        name = "office"
        try:
            if code is None:
                raise NotFound("office_not_found", code=row.values["office"][:40])
            if not allowed.includes(known[code].path):
                raise NotAllowed("not_allowed", action=Action.RECORD_FIGURES.value)
            name = "as_of"
            check_day(row.values["as_of"], local_day(now, known[code].time_zone), FIRST_DAY)
            name = "measure"
            figure = check_figure(_figure(row))
            name = ""
            key = (known[code].id, figure.as_of, figure.measure, figure.source)
            if key in seen:
                raise Invalid("row_twice", row=seen[key])
        except Refusal as refusal:
            found.note(fault(row.number, name, refusal))
        else:
            seen[key] = row.number
            good.append((row.number, known[code].id, figure))
    return good


def _rows(data: bytes, group_separator: str, found: Checked) -> Iterator[Row]:
    """The rows whose cells can be read; the faults of the others are noted."""
    columns = None
    for number, cells in spreadsheets.read_rows(data, lambda first: fields_known(FIELDS, first)):
        if is_passed_over(cells):
            continue
        if columns is None:
            columns = match_fields(FIELDS, cells)
            continue
        found.row_count += 1
        if found.row_count > MAX_ROWS:
            raise Invalid("rows_too_many", limit=MAX_ROWS)
        row, wrong = read_row(columns, number, cells, group_separator)
        for each in wrong:
            found.note(each)
        if not wrong:
            yield row
    if columns is None:
        raise Invalid("file_not_a_table")


def _figure(row: Row) -> Figure:
    return Figure(
        measure=measure_of(row.values["measure"]),
        value=row.values["value"],
        as_of=row.values["as_of"],
        source=row.values["source"],
        note=row.values.get("note") or "",
    )


# --- keeping -----------------------------------------------------------------------------------------------------


def _keep(now: datetime, values: dict[str, Any], rows: Sequence[tuple[int, Figure]]) -> int:
    """Write the file down, with what it would do; files that nobody came back for are dropped on the way."""

    def put(session: Session) -> int:
        session.execute(
            delete(FigureEntry).where(FigureEntry.status == "checked", FigureEntry.checked_at < now - KEPT_FOR)
        )
        would = counts([each.kind for each in changes(session, rows)])
        return session.execute(insert(FigureEntry).values(**values, **would).returning(FigureEntry.id)).scalar_one()

    return once(FigureEntry, FigureEntry.id, values["request_id"], values["request_digest"], put)


def _packed(good: Sequence[Read]) -> bytes:
    rows = [[number, office_id, *_plain(figure)] for number, office_id, figure in good]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def _plain(figure: Figure) -> tuple[object, ...]:
    return figure.as_of.isoformat(), figure.measure, figure.value, figure.source, figure.note


def _waiting(entry_id: int) -> list[Read]:
    """The rows of a file that waits; none when it was recorded meanwhile."""
    content = db.session.scalar(select(FigureEntry.content).where(FigureEntry.id == entry_id))
    return [
        (
            number,
            office_id,
            Figure(as_of=date.fromisoformat(as_of), measure=measure, value=value, source=source, note=note),
        )
        for number, office_id, as_of, measure, value, source, note in json.loads(zlib.decompress(content or _NOTHING))
    ]


_NOTHING = zlib.compress(b"[]")


def _require_offices(actor: Actor, rows: Sequence[Read]) -> None:
    for some in batches(office_id for _, office_id, _ in rows):
        for path in db.session.scalars(select(Office.path).where(Office.id.in_(some))):
            require(actor, Action.RECORD_FIGURES, path)


def _codes(office_ids: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in batches(office_ids):
        found |= {
            row.id: row.code for row in db.session.execute(select(Office.id, Office.code).where(Office.id.in_(some)))
        }
    return found


def _name(file_name: str) -> str:
    """The file's own name, without the folders that some browsers send along."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    return "".join(c if c.isprintable() else " " for c in name).strip()[:200] or "-"
