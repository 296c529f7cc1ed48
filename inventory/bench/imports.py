"""How fast files are imported, how much memory that takes, and how fast hostile files are refused.

Each database is measured in a process of its own, so that the peak of memory is that of the import alone. Speeds are
told in rows per second, and held to limits as shares of a bare INSERT of the same movements into the same kind of
database in the same run: that share says the same on a slow and on a fast machine.
"""

from __future__ import annotations

import io
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask

from inventory.adapters.spreadsheets import csv_lines, write_xlsx
from inventory.bench import Figure
from inventory.bench.processes import figures_from, peak_megabytes, timed
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.domain.imports import FIELDS

NOW = datetime(2024, 5, 15, 3, tzinfo=UTC)
FIRST = date(2022, 5, 1)
DAYS = 715
HEADINGS = [field.heading("id") for field in FIELDS["consumption"]]
OPENING = 9_000_000


def measure(rows: int, urls: list[str | None]) -> list[Figure]:
    """The figures for a file with this many rows, on each database (None: SQLite)."""
    return [figure for url in urls for figure in figures_from(["measure-import", str(rows)], url or "")]


def measure_here(app: Flask, rows: int) -> list[Figure]:
    """The figures on the database of `app`, which is filled. For the process that `measure` starts."""
    is_sqlite = app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite")
    name = "SQLite" if is_sqlite else "PostgreSQL"
    offices = _set_up(rows)
    return [*_imports(name, rows, offices), *(_refusals(app, name) if is_sqlite else [])]


def _set_up(rows: int) -> list[str]:
    """The country's offices, and as many with stock as the file needs; their codes."""
    from flask_migrate import upgrade

    from inventory.services import imports, items, offices

    upgrade()
    offices.load(SYSTEM, offices.official_list())
    items.ensure_standard()
    all_codes = [row["code"] for row in offices.official_list() if row["kind"] in ("regency", "city")]
    codes = all_codes[: -(-rows // DAYS)]
    stock = [[field.heading("id") for field in FIELDS["opening"]]]
    stock += [[code, "ktp-wni", FIRST.isoformat(), str(OPENING), ""] for code in codes]
    found = _check("opening", b"".join(csv_lines(stock)))
    if imports.run(SYSTEM, NOW, found).status != "imported":
        raise RuntimeError("the opening stock was refused")
    return codes


def _imports(name: str, rows: int, codes: list[str]) -> list[Figure]:
    from inventory.services import imports

    data = b"".join(csv_lines(_table(rows, codes)))
    packed = io.BytesIO()
    write_xlsx(packed, [("S", _table(rows, codes))])
    xlsx_seconds, _ = timed(lambda: _check("consumption", packed.getvalue()))
    csv_seconds, found = timed(lambda: _check("consumption", data))
    run_seconds, view = timed(lambda: imports.run(SYSTEM, NOW, found))
    if view.status != "imported" or view.row_count != rows:
        raise RuntimeError(f"the file was not imported: {view.faults[:3]}")
    bare_seconds, count = _bare_insert(found)
    share = bare_seconds / run_seconds * (view.movement_count / count)
    return [
        Figure(f"{name}: rows/s looked through, CSV", rows / csv_seconds, 300, 5000),
        Figure(f"{name}: rows/s looked through, XLSX", rows / xlsx_seconds, 300, 4000),
        Figure(f"{name}: rows/s recorded", rows / run_seconds, 200, 2500),
        Figure(f"{name}: movements/s recorded", view.movement_count / run_seconds),
        Figure(f"{name}: movements recorded, as a share of a bare INSERT", share, 0.03, 0.2),
        Figure(
            f"{name}: MB of memory at most, the application's own 100 included",
            peak_megabytes(),
            600,
            300,
            at_most=True,
        ),
    ]


def _check(kind: str, data: bytes) -> int:
    from inventory.services import imports

    options: dict[str, Any] = {"group_separator": ".", "max_bytes": 50_000_000}
    return imports.check(SYSTEM, NOW, uuid4(), "00", kind, "bench", data, **options)


def _table(rows: int, codes: list[str]) -> Iterator[list[object]]:
    yield list(HEADINGS)
    names = [field.name for field in FIELDS["consumption"]]
    for number in range(rows):
        values: dict[str, object] = {
            "office": codes[number // DAYS],
            "item": "ktp-wni",
            "day": (FIRST + timedelta(days=number % DAYS)).isoformat(),
            "new": 20 + number % 7,
            "lost": 3,
            "damaged": 5,
            "changed_data": 2,
            "served_waiting": number % 4,
            "misprint": 1,
        }
        yield [values.get(name, "") for name in names]


def _bare_insert(import_id: int) -> tuple[float, int]:
    """Seconds for INSERTs of the same movements into a table of the same columns, and nothing else: their count."""
    connection: Any = db.session.connection().connection.driver_connection
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM movements WHERE import_id = {import_id}")
    rows = [tuple(row) for row in cursor.fetchall()]
    cursor.execute("CREATE TABLE bench_rows AS SELECT * FROM movements WHERE import_id = -1")
    marks = ", ".join([mark] * len(rows[0]))
    start = time.perf_counter()
    cursor.executemany(f"INSERT INTO bench_rows VALUES ({marks})", rows)
    db.session.commit()
    seconds = time.perf_counter() - start
    db.session.connection().exec_driver_sql("DROP TABLE bench_rows")
    db.session.commit()
    return seconds, len(rows)


# --- what is refused ---------------------------------------------------------------------------------------------


def _refusals(app: Any, name: str) -> list[Figure]:
    """Seconds until hostile files are refused, none of which may take longer than one."""
    bomb = _workbook(lambda part: [part.write(b" " * 1_000_000) for _ in range(1000)])
    far = _workbook(lambda part: part.write(_SHEET % b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'))
    files = {
        "a zip bomb of 1 GB": bomb,
        "a zip bomb that lies": _lying(bomb),
        "a zip of 60,000 members": _members(60_000),
        "a cell in the last corner": far,
    }
    figures = [
        Figure(f"{name}: seconds to refuse {what}", _refused_after(data), 1, 0.3, at_most=True)
        for what, data in files.items()
    ]
    client = app.test_client()
    body = {"file": (io.BytesIO(b"a" * 20_000_000), "large.csv")}
    seconds, answer = timed(lambda: client.post("/offices/00/imports", data=body))
    if answer.status_code != 413:
        raise RuntimeError(f"20 MB were answered with {answer.status_code}")
    return [*figures, Figure(f"{name}: seconds to refuse an upload of 20 MB", seconds, 1, 0.3, at_most=True)]


_SHEET = b"<worksheet><sheetData>%s</sheetData></worksheet>"


def _refused_after(data: bytes) -> float:
    start = time.perf_counter()
    try:
        _check("consumption", data)
    except Refusal:
        return time.perf_counter() - start
    raise RuntimeError("a hostile file was not refused")


def _workbook(write: Callable[[Any], object]) -> bytes:
    """A workbook whose sheet is what `write` writes."""
    parts = {
        "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="S" sheetId="1" r:id="1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="1" Target="sheet.xml"/></Relationships>',
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
        with packed.open("xl/sheet.xml", "w") as part:
            write(part)
    return stream.getvalue()


def _lying(data: bytes) -> bytes:
    """The bomb with a directory that declares 900,000 bytes for its sheet."""
    at = data.rfind(b"PK\x01\x02") + 24
    return data[:at] + (900_000).to_bytes(4, "little") + data[at + 4 :]


def _members(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for number in range(count):
            packed.writestr(str(number), b"")
    return stream.getvalue()
