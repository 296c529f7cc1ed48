"""Imports: past records from a file, looked through first and then written, all or nothing, once."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session, aliased

from inventory.adapters import spreadsheets
from inventory.db import db, in_batches, write
from inventory.domain.access import Action, Actor, reach, require
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.imports import (
    FIELDS,
    MAX_ROWS,
    ROW_KEYS,
    Fault,
    Row,
    check_consumption,
    code_spellings,
    fault,
    headings_known,
    is_passed_over,
    lines_of,
    match_headings,
    read_row,
)
from inventory.domain.ledger import FIGURES, NOTHING, Effect, Line, check_day, check_line, first_day_below_zero
from inventory.domain.offices import local_day
from inventory.models import Balance, Delivery, Import, ImportedDay, Movement, Office, Person
from inventory.services import audit, deliveries, items, ledger, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.deliveries import Handover
from inventory.services.items import ItemView
from inventory.services.ledger import Key
from inventory.services.lookup import the_row

MOST_FAULTS = 200
"""How many faults are kept to be shown; all of them are counted."""
KEPT_FOR = timedelta(days=1)
"""How long a file that was looked through waits to be imported."""
_BATCH = 500

Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class ImportView:
    """A file as the edges see it. `totals` holds (item code, movement kind, reason, quantity); `faults` the first
    ones of `fault_count`."""

    id: int
    office_code: str
    kind: str
    status: str
    file_name: str
    size: int
    row_count: int
    movement_count: int
    totals: tuple[tuple[str, str, str, int], ...]
    fault_count: int
    faults: tuple[Fault, ...]
    checked_at: datetime
    checked_by: str | None
    imported_at: datetime | None
    imported_by: str | None


@dataclass(frozen=True)
class Read:
    """A row whose office and item are known."""

    row: Row
    key: Key


@dataclass
class _Faults:
    """The first faults, and how many there are in all."""

    first: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, found: Fault) -> None:
        self.count += 1
        if len(self.first) < MOST_FAULTS:
            self.first.append(found)

    def note(self, row: int, name: str, refusal: Refusal) -> None:
        self.add(fault(row, name, refusal))


def check(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    kind: str,
    file_name: str,
    data: bytes,
    *,
    group_separator: str,
    max_bytes: int,
) -> int:
    """Look through a file without recording anything: its import's id, from which `get` tells what was found.

    The same file, once imported, and the same request lead to the earlier import. Numbers in text are grouped by
    `group_separator`. Raises NotFound, NotAllowed; Invalid `file_too_large`, `file_inflates`, `file_not_a_table`,
    `rows_too_many`, `column_missing`, `column_unknown`, `column_twice`, `nothing_entered`, `import_kind_unknown`;
    Refusal `file_already_imported` when somebody imported it whose imports the actor may not see.
    """
    office = offices.get(actor, Action.IMPORT_RECORDS, office_code)
    if kind not in FIELDS:
        raise Invalid("import_kind_unknown")
    if len(data) > max_bytes:
        raise Invalid("file_too_large", limit=max_bytes // 1_000_000 or 1)
    digest = hashlib.sha256(data).hexdigest()
    earlier = _earlier(actor, request_id, kind, digest)
    if earlier is not None:
        return earlier
    faults = _Faults()
    rows = list(_read(data, kind, group_separator, faults))
    if not rows and not faults.count:
        raise Invalid("nothing_entered")
    good = _look_through(actor, now, kind, rows, faults)
    values = {
        "request_id": request_id,
        "office_id": office.id,
        "kind": kind,
        "file_name": _name(file_name),
        "size": len(data),
        "digest": digest,
        "row_count": len(rows),
        **_totals(kind, good),
        "checked_at": now,
        "checked_by_id": actor.person_id,
        **_outcome(faults, good),
    }
    return write(lambda session: _keep(session, now, values))


def run(actor: Actor, now: datetime, import_id: int, progress: Progress = lambda _: None) -> ImportView:
    """Record every row of a file that was looked through, in one transaction; where that is done already, nothing.

    When the stock has changed so much since then that a row no longer fits, nothing is recorded and the import is
    refused with its new faults. `progress` is told how many movements are written.
    Raises NotFound, NotAllowed; Refusal `import_not_ready`, `file_already_imported`.
    """
    found = _find(actor, import_id)
    if found.status == "imported":
        return get(actor, import_id)
    if found.status != "checked":
        raise Refusal("import_not_ready")
    content = db.session.scalar(select(Import.content).where(Import.id == import_id))
    if content is None:
        return _settled_by_another(actor, import_id)
    good = _kept_rows(found.kind, content)
    _require_offices(actor, good)
    try:
        _post(actor, now, found, good, progress)
    except Refusal as refusal:
        if refusal.code == "import_not_ready":
            return _settled_by_another(actor, import_id)
        if refusal.code == "file_already_imported":
            raise
        _refuse_now(actor, now, found, good, refusal)
    return get(actor, import_id)


def _settled_by_another(actor: Actor, import_id: int) -> ImportView:
    """Somebody else pressed the same button meanwhile: what they did is what was asked for."""
    db.session.expire_all()
    return get(actor, import_id)


def get(actor: Actor, import_id: int) -> ImportView:
    """Raises NotFound `import_not_found`, NotAllowed."""
    return _view(_find(actor, import_id))


def latest(actor: Actor, office_code: str, limit: int = 20) -> list[ImportView]:
    """The files sent in at an office, the newest first."""
    office = offices.get(actor, Action.IMPORT_RECORDS, office_code)
    return [_view(row) for row in db.session.execute(_query(Import.office_id == office.id).limit(limit))]


def template_rows(kind: str, language: str) -> list[str]:
    """The headings of an empty file of this kind. Raises Invalid `import_kind_unknown`."""
    if kind not in FIELDS:
        raise Invalid("import_kind_unknown")
    return [each.heading(language) for each in FIELDS[kind]]


# --- reading -----------------------------------------------------------------------------------------------------


def _read(data: bytes, kind: str, group_separator: str, faults: _Faults) -> Iterator[Row]:
    """The rows whose cells can be read; the faults of the others are noted."""
    columns = None
    count = 0
    for number, cells in spreadsheets.read_rows(data, lambda first: headings_known(kind, first)):
        if is_passed_over(cells):
            continue
        if columns is None:
            columns = match_headings(kind, cells)
            continue
        count += 1
        if count > MAX_ROWS:
            raise Invalid("rows_too_many", limit=MAX_ROWS)
        row, wrong = read_row(columns, number, cells, group_separator)
        for each in wrong:
            faults.add(each)
        if not wrong:
            yield row
    if columns is None:
        raise Invalid("file_not_a_table")


def _look_through(actor: Actor, now: datetime, kind: str, rows: Sequence[Row], faults: _Faults) -> list[Read]:
    """The rows that could be recorded; what is wrong with the others is noted. The stock is looked at last."""
    good = list(_by_office(actor, now, kind, rows, faults))
    good = list(_each_once(kind, good, faults))
    good = list(_not_recorded_before(kind, good, faults))
    _check_stock(kind, good, faults)
    faults.first.sort(key=lambda each: each.row)
    return good


def _by_office(actor: Actor, now: datetime, kind: str, rows: Iterable[Row], faults: _Faults) -> Iterator[Read]:
    known = {row.code: row for row in db.session.execute(select(Office.id, Office.code, Office.path, Office.time_zone))}
    kept = {item.code: item for item in items.active()}
    allowed = reach(actor, Action.IMPORT_RECORDS)
    may: dict[str, bool] = {}
    for row in rows:
        spelt = row.values["office"]
        code = next((each for each in code_spellings(spelt) if each in known), None)
        if code is None:
            faults.note(row.number, "office", NotFound("office_not_found", code=spelt[:40]))
            continue
        if not may.setdefault(code, allowed.includes(known[code].path)):
            faults.note(row.number, "office", NotAllowed("not_allowed", action=Action.IMPORT_RECORDS.value))
            continue
        item = kept.get(row.values["item"].lower())
        if item is None:
            faults.note(row.number, "item", NotFound("item_not_found", code=row.values["item"][:40]))
            continue
        today = local_day(now, known[code].time_zone)
        refusal = _refusal_of(kind, row.values, item, today)
        if refusal is None:
            yield Read(row, (known[code].id, item.id))
        else:
            faults.note(row.number, _field_of(kind, refusal), refusal)


def _refusal_of(kind: str, values: Mapping[str, Any], item: ItemView, today: date) -> Refusal | None:
    """What a row cannot say by itself, whatever the stock is."""
    try:
        check_day(values["received_on" if kind == "deliveries" else "day"], today, FIRST_DAY)
        if kind == "consumption":
            check_consumption(values, is_blank=item.is_blank, item=item.code)
        if kind == "deliveries":
            deliveries.checked(_handover(values))
        for line in lines_of(kind, 0, 0, values):
            check_line(line)
    except Invalid as refusal:
        return refusal
    return None


_FIELD_OF = {
    "defective_exceeds_received": "defective",
    "bast_after_arrival": "bast_on",
    "funding_source_unknown": "funding_source",
    "served_waiting_exceeds_print": "served_waiting",
}


def _field_of(kind: str, refusal: Refusal) -> str:
    if refusal.code in ("day_in_future", "day_too_early"):
        return "received_on" if kind == "deliveries" else "day"
    if refusal.code == "quantity_not_positive":
        return "quantity" if kind == "opening" else "received"
    if refusal.code == "reason_not_for_item":
        return str(refusal.facts["reason"])
    return _FIELD_OF.get(refusal.code, "")


def _each_once(kind: str, good: Iterable[Read], faults: _Faults) -> Iterator[Read]:
    seen: dict[tuple[object, ...], int] = {}
    rest = ROW_KEYS[kind][2:]
    for each in good:
        key = (*each.key, *(each.row.values[name] for name in rest))
        if key in seen:
            faults.note(each.row.number, (rest or ("item",))[0], Invalid("row_twice", row=seen[key]))
        else:
            seen[key] = each.row.number
            yield each


def _not_recorded_before(kind: str, good: Sequence[Read], faults: _Faults) -> Iterator[Read]:
    find = {"opening": _opened, "deliveries": _delivered, "consumption": _filled_in}[kind]
    recorded = find(good)
    for each in good:
        refusal = recorded.get((each.key, *(each.row.values[name] for name in ROW_KEYS[kind][2:])))
        if refusal is None:
            yield each
        else:
            faults.note(each.row.number, (ROW_KEYS[kind][2:] or ("item",))[0], refusal)


Recorded = dict[tuple[Any, ...], Refusal]
"""What is on record already, by office and item and what else tells rows apart, and what is said of it."""


def _opened(good: Sequence[Read]) -> Recorded:
    found: Recorded = {}
    for some in _batches({each.key[0] for each in good}):
        rows = db.session.execute(
            select(Balance.office_id, Balance.item_id).where(Balance.office_id.in_(some), Balance.received > 0)
        )
        found |= {((row.office_id, row.item_id),): Refusal("opening_not_first") for row in rows}
    return found


def _delivered(good: Sequence[Read]) -> Recorded:
    found: Recorded = {}
    for some in _batches({each.key[0] for each in good}):
        rows = db.session.execute(
            select(Delivery.office_id, Delivery.item_id, Delivery.bast_number).where(
                Delivery.office_id.in_(some), Delivery.voided_at.is_(None)
            )
        )
        refusal = Refusal("bast_already_recorded")
        found |= {((row.office_id, row.item_id), row.bast_number): refusal for row in rows}
    return found


def _filled_in(good: Sequence[Read]) -> Recorded:
    """Days that another file has filled in and that were not taken back."""
    if not good:
        return {}
    days = [each.row.values["day"] for each in good]
    found: Recorded = {}
    for some in _batches({each.key[0] for each in good}):
        rows = db.session.execute(
            select(ImportedDay.office_id, ImportedDay.item_id, ImportedDay.day, Import.file_name, Import.imported_at)
            .join(Import, Import.id == ImportedDay.import_id)
            .where(ImportedDay.office_id.in_(some), ImportedDay.day.between(min(days), max(days)), _still_stands())
        )
        for row in rows:
            when = row.imported_at.date()
            found[(row.office_id, row.item_id), row.day] = Refusal("file_filled_in", file=row.file_name, day=when)
    return found


def _still_stands() -> Any:
    """SQL over ImportedDay: some movement of the day's import has not been reversed."""
    undo = aliased(Movement)
    return exists().where(
        Movement.office_id == ImportedDay.office_id,
        Movement.item_id == ImportedDay.item_id,
        Movement.effective_on == ImportedDay.day,
        Movement.import_id == ImportedDay.import_id,
        ~exists().where(undo.reverses_id == Movement.id),
    )


# --- the stock ---------------------------------------------------------------------------------------------------


def _check_stock(kind: str, good: Sequence[Read], faults: _Faults) -> None:
    """Replay the rows against the books: no day may close below zero. Names the row that first does it."""
    if kind != "consumption":
        return  # what only adds cannot fall short
    codes = {item.id: item.code for item in items.active()}
    by_key = _by_key(good)
    balances = _balances_of(by_key)
    for key, found in by_key.items():
        effects: dict[date, Effect] = defaultdict(lambda: NOTHING)
        taking: list[tuple[date, int]] = []
        total = NOTHING
        for each in found:
            for line in lines_of(kind, *key, each.row.values):
                effects[line.effective_on] = effects[line.effective_on].plus(line.effect)
                total = total.plus(line.effect)
                taking.append((line.effective_on, each.row.number))
        if not effects:
            continue
        since = min(effects)
        for day, effect in ledger.day_effects(db.session(), key, since).items():
            effects[day] = effects[day].plus(effect)
        after = balances.get(key, NOTHING).plus(total)
        below = first_day_below_zero(dict(zip(FIGURES, after, strict=True)), effects, since)
        if below is not None:
            day, figure, closing = below
            row = max((taken, number) for taken, number in taking if taken <= day)[1]
            item = codes[key[1]]
            faults.note(row, "", Refusal("day_below_zero", item=item, day=day, figure=figure, closing=closing))


def _balances_of(keys: Iterable[Key]) -> dict[Key, Effect]:
    found: dict[Key, Effect] = {}
    for some in _batches({office_id for office_id, _ in keys}):
        columns = [getattr(Balance, figure) for figure in FIGURES]
        for row in db.session.execute(
            select(Balance.office_id, Balance.item_id, *columns).where(Balance.office_id.in_(some))
        ):
            found[row[0], row[1]] = Effect(*row[2:])
    return found


def _by_key(good: Iterable[Read]) -> dict[Key, list[Read]]:
    by_key: dict[Key, list[Read]] = defaultdict(list)
    for each in good:
        by_key[each.key].append(each)
    return by_key


def _batches(ids: Iterable[int]) -> Iterator[list[int]]:
    return in_batches(sorted(ids), _BATCH)


# --- writing -----------------------------------------------------------------------------------------------------


def _post(actor: Actor, now: datetime, found: Any, good: Sequence[Read], progress: Progress) -> int:
    by_key = _by_key(good)
    delivery_ids: dict[int, int] = {}

    def document(session: Session) -> dict[str, int]:
        _take(session, actor, now, found.id)
        if found.kind == "opening":
            for key in sorted(by_key):
                ledger.require_untouched(session, key)
        elif found.kind == "deliveries":
            delivery_ids.update(_write_deliveries(session, actor, now, good))
        else:
            _claim_days(session, found.id, good)
        return {"import_id": found.id}

    def lines(key: Key) -> list[tuple[Line, Mapping[str, int]]]:
        return [
            (line, {"delivery_id": delivery_ids[each.row.number]} if delivery_ids else {})
            for each in sorted(by_key[key], key=lambda each: each.row.number)
            for line in lines_of(found.kind, *key, each.row.values)
        ]

    return ledger.post_in_bulk(
        actor, now, found.request_id, found.digest, by_key, lines, document=document, progress=progress
    )


def _take(session: Session, actor: Actor, now: datetime, import_id: int) -> None:
    """From looked through to imported: of two who try, one does. The rows are no longer needed."""
    taken = session.execute(
        update(Import)
        .where(Import.id == import_id, Import.status == "checked")
        .values(status="imported", content=None, imported_at=now, imported_by_id=actor.person_id)
        .returning(Import.kind, Import.file_name)
    ).one_or_none()
    if taken is None:
        raise Refusal("import_not_ready")
    audit.note(
        session, now, actor, Event.IMPORTED, subject=taken.file_name, facts={"kind": taken.kind, "id": import_id}
    )


def _write_deliveries(session: Session, actor: Actor, now: datetime, good: Sequence[Read]) -> dict[int, int]:
    """The deliveries' ids by the numbers of their rows."""
    rows = []
    for each in good:
        handover = vars(deliveries.checked(_handover(each.row.values)))
        rows.append(
            {name: value for name, value in handover.items() if name != "received_on"}
            | {"office_id": each.key[0], "item_id": each.key[1], "recorded_at": now, "recorded_by_id": actor.person_id}
        )
    ids = session.scalars(insert(Delivery).returning(Delivery.id, sort_by_parameter_order=True), rows)
    return {each.row.number: delivery_id for each, delivery_id in zip(good, ids, strict=True)}


def _claim_days(session: Session, import_id: int, good: Sequence[Read]) -> None:
    """Write down which days the file fills in: the second file to do so breaks on the key. Days whose entries have
    all been reversed are free again."""
    days = [each.row.values["day"] for each in good]
    for some in _batches({each.key[0] for each in good}):
        session.execute(
            delete(ImportedDay)
            .where(ImportedDay.office_id.in_(some), ImportedDay.day.between(min(days), max(days)), ~_still_stands())
            .execution_options(synchronize_session=False)
        )
    claims = [
        {
            "office_id": each.key[0],
            "item_id": each.key[1],
            "day": each.row.values["day"],
            "import_id": import_id,
            "row": each.row.number,
        }
        for each in sorted(good, key=lambda each: (each.key, each.row.values["day"]))
        if lines_of("consumption", *each.key, each.row.values)
    ]
    if claims:
        session.execute(insert(ImportedDay), claims)


def _refuse_now(actor: Actor, now: datetime, found: Any, good: Sequence[Read], refusal: Refusal) -> None:
    """The books have changed since the file was looked through: say what no longer fits."""
    faults = _Faults()
    _look_through(actor, now, found.kind, [each.row for each in good], faults)
    if not faults.count:
        faults.note(0, "", refusal)
    values = _outcome(faults, good)
    changed = update(Import).where(Import.id == found.id, Import.status == "checked").values(values)
    write(lambda session: session.execute(changed))
    db.session.expire_all()


def _keep(session: Session, now: datetime, values: dict[str, Any]) -> int:
    """Write the import down; files that nobody came back for are dropped on the way."""
    stale = (Import.status == "checked", Import.checked_at < now - KEPT_FOR)
    session.execute(update(Import).where(*stale).values(status="expired", content=None))
    return session.execute(insert(Import).values(values).returning(Import.id)).scalar_one()


def _outcome(faults: _Faults, good: Sequence[Read]) -> dict[str, Any]:
    return {
        "status": "refused" if faults.count else "checked",
        "fault_count": faults.count,
        "faults": [[each.row, each.field, each.code, _packed_facts(each.facts)] for each in faults.first],
        "content": None if faults.count else _packed(good),
    }


def _handover(values: Mapping[str, Any]) -> Handover:
    names = Handover.__dataclass_fields__
    said: dict[str, Any] = {"defective": 0} | {name: value for name, value in values.items() if name in names}
    said["asked"] = said.get("asked") or None
    return Handover(**said)


# --- keeping and finding -----------------------------------------------------------------------------------------


def _packed(good: Sequence[Read]) -> bytes:
    rows = [[each.row.number, *each.key, {k: _plain(v) for k, v in each.row.values.items() if v}] for each in good]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def _kept_rows(kind: str, content: bytes) -> list[Read]:
    days = {each.name for each in FIELDS[kind] if each.holds == "day"}
    empty = {each.name: None if each.holds == "day" else 0 if each.holds == "quantity" else "" for each in FIELDS[kind]}
    return [
        Read(
            Row(number, empty | {k: date.fromisoformat(v) if k in days else v for k, v in values.items()}),
            (office_id, item_id),
        )
        for number, office_id, item_id, values in json.loads(zlib.decompress(content))
    ]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _packed_facts(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: {"day": value.isoformat()} if isinstance(value, date) else value for name, value in facts.items()}


def _unpacked_facts(facts: Mapping[str, Any]) -> dict[str, object]:
    return {name: date.fromisoformat(v["day"]) if isinstance(v, dict) else v for name, v in facts.items()}


def _totals(kind: str, good: Iterable[Read]) -> dict[str, Any]:
    codes = {item.id: item.code for item in items.active()}
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    count = 0
    for each in good:
        for line in lines_of(kind, *each.key, each.row.values):
            count += 1
            sums[codes[line.item_id], line.kind.value, line.reason] += line.quantity
    return {"movement_count": count, "totals": [[*key, quantity] for key, quantity in sums.items()]}


def _require_offices(actor: Actor, good: Iterable[Read]) -> None:
    for some in _batches({each.key[0] for each in good}):
        for path in db.session.scalars(select(Office.path).where(Office.id.in_(some))):
            require(actor, Action.IMPORT_RECORDS, path)


def _name(file_name: str) -> str:
    """The file's own name, without the folders that some browsers send along."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    return "".join(c if c.isprintable() else " " for c in name).strip()[:200] or "-"


def _earlier(actor: Actor, request_id: UUID, kind: str, digest: str) -> int | None:
    """The import of the same request, or of the same file when it was carried out."""
    row = db.session.execute(_query(Import.request_id == request_id)).first()
    if row is not None:
        if (row.kind, row.digest) != (kind, digest):
            raise Refusal("request_id_reused")
        return row.id
    same = (Import.kind == kind, Import.digest == digest, Import.status == "imported")
    row = db.session.execute(_query(*same)).first()
    if row is None:
        return None
    if not reach(actor, Action.IMPORT_RECORDS).includes(row.path):
        raise Refusal("file_already_imported")
    return row.id


_checker, _importer = aliased(Person), aliased(Person)


def _query(*conditions: Any) -> Any:
    return (
        select(
            *(column for column in Import.__table__.columns if column.name != "content"),
            Office.code.label("office_code"),
            Office.path,
            _checker.full_name.label("checked_by"),
            _importer.full_name.label("imported_by"),
        )
        .join(Office, Office.id == Import.office_id)
        .outerjoin(_checker, _checker.id == Import.checked_by_id)
        .outerjoin(_importer, _importer.id == Import.imported_by_id)
        .where(*conditions)
        .order_by(Import.id.desc())
    )


def _find(actor: Actor, import_id: int) -> Any:
    row = the_row(_query(Import.id == import_id), NotFound("import_not_found"))
    require(actor, Action.IMPORT_RECORDS, row.path)
    return row


def _view(row: Any) -> ImportView:
    plain = set(ImportView.__dataclass_fields__) - {"totals", "faults"}
    return ImportView(
        **{name: getattr(row, name) for name in plain},
        totals=tuple((item, kind, reason, quantity) for item, kind, reason, quantity in row.totals),
        faults=tuple(Fault(number, name, code, _unpacked_facts(facts)) for number, name, code, facts in row.faults),
    )
