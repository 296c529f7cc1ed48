"""Imports: the columns of a file with records of past days, how its cells are read, and the movements of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import CONSUMED, NOTE_LENGTH, PRINT_REASONS, SPOIL_CAUSES, Kind, Line
from inventory.domain.quantities import MAX_QUANTITY, check_quantity, parse_quantity
from inventory.domain.texts import check_text

KINDS = ("opening", "deliveries", "consumption")
STATUSES = ("checked", "refused", "imported", "expired")
MAX_ROWS = 100_000
LANGUAGES = ("id", "en")

Cell = str | int | float | date | datetime | None
"""What a table's reader finds in a cell: text, a real number, or a real date."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column: what it holds, and its headings; the first of a language is the one that templates write."""

    name: str
    holds: str
    id: tuple[str, ...]
    en: tuple[str, ...]
    required: bool = False
    """Without this column the file is refused, and without a value the row."""
    most: int = 120
    """Characters of a text."""
    limit: int = MAX_QUANTITY
    """The largest number."""

    def heading(self, language: str) -> str:
        return (self.id if language == "id" else self.en)[0]


def _quantity(name: str, id: str, en: str, *, required: bool = False) -> Field:
    return Field(name=name, holds="quantity", id=(id,), en=(en,), required=required)


def _words(name: str, id: str, en: str, *, required: bool = False, most: int = 120) -> Field:
    return Field(name=name, holds="words", id=(id,), en=(en,), required=required, most=most)


_OFFICE = Field(
    name="office", holds="office", id=("Kode kantor", "Kantor"), en=("Office code", "Office"), required=True
)
_ITEM = Field(name="item", holds="item", id=("Kode barang", "Barang"), en=("Item code", "Item"), required=True)
_DAY = Field(name="day", holds="day", id=("Tanggal", "Hari"), en=("Day", "Date"), required=True)
_NOTE = Field(name="note", holds="words", id=("Keterangan", "Catatan"), en=("Note",), most=NOTE_LENGTH)

USED = (*PRINT_REASONS, CONSUMED, *SPOIL_CAUSES)
"""The columns of a day's consumption that hold quantities: why a blank left the store."""

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "opening": (_OFFICE, _ITEM, _DAY, _quantity("quantity", "Jumlah", "Quantity", required=True), _NOTE),
    "deliveries": (
        _OFFICE,
        _ITEM,
        _words("bast_number", "Nomor BAST", "BAST number", required=True, most=80),
        Field(name="bast_on", holds="day", id=("Tanggal BAST",), en=("BAST date",), required=True),
        Field(name="received_on", holds="day", id=("Tanggal terima",), en=("Day of arrival",), required=True),
        _quantity("asked", "Diajukan", "Asked for"),
        _quantity("received", "Diterima", "Received", required=True),
        _quantity("defective", "Cacat", "Defective"),
        Field(name="funding_source", holds="funding", id=("Sumber dana",), en=("Funding source",), required=True),
        _words("supplier", "Pemasok", "Supplier", required=True),
        _words("handed_over_by", "Yang menyerahkan", "Handed over by"),
        _words("taken_over_by", "Yang menerima", "Taken over by"),
        _NOTE,
    ),
    "consumption": (
        _OFFICE,
        _ITEM,
        _DAY,
        _quantity("new", "Baru", "New"),
        _quantity("lost", "Hilang", "Lost"),
        _quantity("damaged", "Rusak", "Damaged"),
        _quantity("changed_data", "Perubahan data", "Changed data"),
        _quantity("moved_in", "Pindah datang", "Moved in"),
        _quantity("served_waiting", "Melayani tunggakan", "Served waiting"),
        _quantity(CONSUMED, "Habis terpakai", "Used up"),
        _quantity("misprint", "Gagal cetak", "Misprint"),
        _quantity("encoding_failure", "Gagal encode", "Encoding failure"),
        _quantity("defective", "Cacat", "Defective"),
        _quantity("obsolete", "Tidak berlaku lagi", "Obsolete"),
        _NOTE,
    ),
}

ROW_KEYS: Mapping[str, tuple[str, ...]] = {
    "opening": ("office", "item"),
    "deliveries": ("office", "item", "bast_number"),
    "consumption": ("office", "item", "day"),
}
"""What tells a kind's rows apart: two rows of a file may not agree in all of these."""


class Fault(NamedTuple):
    """What is wrong with a row: its number in the file, the field (empty: the row as a whole), and a refusal."""

    row: int
    field: str
    code: str
    facts: Mapping[str, object]


def fault(row: int, field: str, refusal: Refusal) -> Fault:
    return Fault(row, field, refusal.code, refusal.facts)


class Row(NamedTuple):
    """A row that can be read. `values` are by field; office and item stand there by their codes."""

    number: int
    values: Mapping[str, Any]


def match_headings(kind: str, cells: Sequence[Cell]) -> list[Field | None]:
    """The field of each column, None under an empty heading. Headings are of either language, in any order.

    Raises Invalid `column_missing`, `column_unknown`, `column_twice` (each with the column).
    """
    return match_fields(FIELDS[kind], cells)


def match_fields(fields: Sequence[Field], cells: Sequence[Cell]) -> list[Field | None]:
    """Like `match_headings`, of a table with these columns."""
    known = _by_heading(fields)
    found: list[Field | None] = []
    for cell in cells:
        heading = "" if cell is None else str(cell).strip()
        field = known.get(_plain(heading))
        if heading and field is None:
            raise Invalid("column_unknown", column=heading[:40])
        if field is not None and field in found:
            raise Invalid("column_twice", column=heading[:40])
        found.append(field)
    for field in fields:
        if field.required and field not in found:
            raise Invalid("column_missing", column=field.heading("id"))
    return found


def headings_known(kind: str, cells: Sequence[Cell]) -> int:
    """How many of the cells are headings of this kind: tells the separator of a file's first line."""
    return fields_known(FIELDS[kind], cells)


def fields_known(fields: Sequence[Field], cells: Sequence[Cell]) -> int:
    """Like `headings_known`, of a table with these columns."""
    known = _by_heading(fields)
    return sum(1 for cell in cells if isinstance(cell, str) and _plain(cell) in known)


def _by_heading(fields: Sequence[Field]) -> dict[str, Field]:
    return {_plain(heading): field for field in fields for heading in (*field.id, *field.en, field.name)}


def is_passed_over(cells: Sequence[Cell]) -> bool:
    """A row that says nothing: an empty one, or one that begins with # (a remark)."""
    if not cells:
        return True
    if isinstance(cells[0], str) and cells[0].lstrip().startswith("#"):
        return True
    return all(cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def read_row(
    columns: Sequence[Field | None], number: int, cells: Sequence[Cell], group_separator: str
) -> tuple[Row, list[Fault]]:
    """The values of a row, and what is wrong with its cells. Numbers in text are grouped by `group_separator`."""
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for position, cell in enumerate(cells):
        field = columns[position] if position < len(columns) else None
        if field is None:
            if cell not in (None, ""):
                faults.append(fault(number, "", Invalid("cell_without_heading", text=str(cell)[:40])))
            continue
        try:
            values[field.name] = read_cell(field, cell, group_separator)
        except Invalid as refusal:
            faults.append(fault(number, field.name, refusal))
    for field in columns[len(cells) :]:
        if field is not None and field.required:
            faults.append(fault(number, field.name, Invalid("cell_empty")))
    return Row(number, values), faults


def read_cell(field: Field, cell: Cell, group_separator: str) -> Any:
    """A cell's value: a day, a whole number (0 when empty), or text. Raises Invalid for what it cannot be."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        if field.required:
            raise Invalid("cell_empty")
        return 0 if field.holds == "quantity" else None if field.holds == "day" else ""
    if field.holds == "day":
        return read_day(cell)
    if field.holds == "quantity":
        return read_quantity(cell, group_separator, field.limit)
    text = check_text(_as_text(cell), field.most)
    return text.lower() if field.holds == "funding" else text


def read_quantity(cell: Cell, group_separator: str, limit: int = MAX_QUANTITY) -> int:
    """Raises Invalid, see `parse_quantity`; a real number of a spreadsheet must be whole and not negative."""
    if isinstance(cell, str):
        return parse_quantity(cell, group_separator, limit)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise Invalid("quantity_not_a_number", text=str(cell)[:40], limit=limit)
    if cell < 0:
        raise Invalid("quantity_negative", text=str(cell)[:40], limit=limit)
    if cell > limit:
        raise Invalid("quantity_too_large", limit=limit)
    if cell != int(cell):
        raise Invalid("quantity_fraction", text=str(cell)[:40], limit=limit)
    return int(cell)


_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", re.ASCII)
_DAY_FIRST = re.compile(r"([0-9]{1,2})[/.\-]([0-9]{1,2})[/.\-]([0-9]{4})", re.ASCII)


def read_day(cell: Cell) -> date:
    """A real date, 2024-12-31, or 31/12/2024 with the day first. Raises Invalid `day_not_a_day`."""
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        parts = None
        if found := _ISO.fullmatch(text):
            parts = found.group(1, 2, 3)
        elif found := _DAY_FIRST.fullmatch(text):
            parts = found.group(3, 2, 1)
        try:
            if parts:
                return date(*(int(part) for part in parts))
        except ValueError:
            pass
    raise Invalid("day_not_a_day", text=str(cell)[:40])


def share_waiting(printed: Mapping[str, int], served: int) -> dict[str, int]:
    """Spread the cards that served waiting requests over the reasons, in the reasons' order.

    A file says one number for the day. Raises Invalid `served_waiting_exceeds_print`.
    """
    total = sum(printed.get(reason, 0) for reason in PRINT_REASONS)
    if served > total:
        raise Invalid("served_waiting_exceeds_print", served=served, printed=total)
    shared: dict[str, int] = {}
    for reason in PRINT_REASONS:
        shared[reason] = min(served, printed.get(reason, 0))
        served -= shared[reason]
    return shared


def check_consumption(values: Mapping[str, Any], *, is_blank: bool, item: str) -> None:
    """Raises Invalid `reason_not_for_item`, `served_waiting_exceeds_print`."""
    allowed = (*PRINT_REASONS, *SPOIL_CAUSES) if is_blank else (CONSUMED, *SPOIL_CAUSES)
    for reason in USED:
        if values.get(reason) and reason not in allowed:
            raise Invalid("reason_not_for_item", reason=reason, item=item)
    share_waiting(values, values.get("served_waiting") or 0)


def lines_of(kind: str, office_id: int, item_id: int, values: Mapping[str, Any]) -> list[Line]:
    """The movements that a row stands for: none for a day on which nothing was used."""
    if kind == "opening":
        quantity = check_quantity(values["quantity"])
        return [_line(office_id, item_id, values["day"], Kind.RECEIPT, "opening", quantity, values.get("note"))]
    if kind == "deliveries":
        defective = values.get("defective") or 0
        parts = (("supplied", values["received"] - defective), ("defective", defective))
        day = values["received_on"]
        return [
            _line(office_id, item_id, day, Kind.RECEIPT, reason, quantity) for reason, quantity in parts if quantity
        ]
    waiting = share_waiting(values, values.get("served_waiting") or 0)
    return [
        _line(
            office_id,
            item_id,
            values["day"],
            Kind.SPOIL if reason in SPOIL_CAUSES else Kind.PRINT,
            reason,
            values[reason],
            values.get("note"),
            waiting.get(reason, 0),
        )
        for reason in USED
        if values.get(reason)
    ]


def _line(
    office_id: int,
    item_id: int,
    day: date,
    kind: Kind,
    reason: str,
    quantity: int,
    note: str | None = "",
    served_waiting: int = 0,
) -> Line:
    return Line(
        office_id=office_id,
        item_id=item_id,
        kind=kind,
        reason=reason,
        quantity=quantity,
        effective_on=day,
        served_waiting=served_waiting,
        note=note or "",
    )


def code_spellings(cell: str) -> tuple[str, ...]:
    """How an office's code may stand in a cell: a spreadsheet that took 51.10 for a number kept 51.1 of it."""
    if re.fullmatch(r"[0-9]+\.[0-9]", cell, re.ASCII):
        return cell, f"{cell}0"
    return (cell,)


def _as_text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _plain(heading: str) -> str:
    return re.sub(r"[\s_\-]+", " ", heading.strip()).casefold()
