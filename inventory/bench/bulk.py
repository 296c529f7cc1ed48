"""How fast the ledger's bulk path is, beside a bare COPY of the very same movements into a table with the same indexes.

The bulk path checks each line, moves balances and daily totals, numbers the movements and runs the law's triggers; the
bare COPY does none of that. Its table has the columns, defaults, checks, indexes and foreign keys of the movements'.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from uuid import uuid4

from inventory.bench import Figure, postgres
from inventory.bench.processes import figures_from, timed
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import Kind, Line

NOW = datetime(2024, 5, 15, 3, tzinfo=UTC)
FIRST = date(2022, 5, 1)
OPENING = 900_000
ROUNDS = 5
STOCKS = 10
"""In each round, other ones."""
USED = (("new", 20), ("lost", 3), ("damaged", 5), ("changed_data", 2), ("moved_in", 1))

Lines = list[tuple[Line, dict[str, int]]]


def measure(*, quick: bool, url: str | None = None) -> list[Figure]:
    """The figures on the EMPTY PostgreSQL database `url`, or on a server of our own, in a process of its own."""
    with postgres.database(url) as address:
        return figures_from(["measure-bulk", str(100 if quick else 600)], address)


def measure_here(days: int) -> list[Figure]:
    """The figures on the application's database, which is filled: so many days of six lines for each stock."""
    keys = _set_up()
    rounds = [_round(keys[number * STOCKS : (number + 1) * STOCKS], days) for number in range(ROUNDS + 1)][1:]
    rates, bare, unchecked = (median(each) for each in zip(*rounds, strict=True))
    name = f"bulk path, {STOCKS * (6 * days + 1):,} movements a transaction: "
    return [
        Figure(name + "rows a second / bare COPY", round(median(a / b for a, b, _ in rounds), 3), 0.35, 0.6),
        Figure(name + "the same / bare COPY without foreign keys", round(median(a / c for a, _, c in rounds), 3)),
        Figure(name + "rows a second", round(rates)),
        Figure("bare COPY, rows a second", round(bare)),
        Figure("bare COPY without foreign keys, rows a second", round(unchecked)),
    ]


def _set_up() -> list[tuple[int, int]]:
    from flask_migrate import upgrade

    from inventory.services import items, offices

    upgrade()
    offices.load(SYSTEM, offices.official_list())
    items.ensure_standard()
    connection = db.session.connection()
    if connection.dialect.name != "postgresql":
        raise RuntimeError("this is measured on PostgreSQL")
    places = "SELECT id FROM offices WHERE kind IN ('regency', 'city') ORDER BY id"
    item = items.get("ktp-wni").id
    keys = [(row[0], item) for row in connection.exec_driver_sql(places)]
    db.session.rollback()
    return keys


def _round(keys: list[tuple[int, int]], days: int) -> tuple[float, float, float]:
    """Rows a second by the bulk path, by a bare COPY, and by one without foreign keys, one after the other."""
    from inventory.services import ledger

    lines = {key: _lines(key, days) for key in keys}
    request = uuid4()

    def bulk() -> int:
        return ledger.post_in_bulk(SYSTEM, NOW, request, "0" * 64, lines, lines.__getitem__, document=lambda _: {})

    seconds, count = timed(bulk)
    rows = db.session.connection().exec_driver_sql(
        "SELECT * FROM movements WHERE request_id = %s ORDER BY id", (request,)
    )
    values = [tuple(row) for row in rows]
    if len(values) != count:
        raise RuntimeError("not all was written")
    return count / seconds, count / _bare(values, keys=True), count / _bare(values, keys=False)


def _lines(key: tuple[int, int], days: int) -> Lines:
    def line(kind: Kind, reason: str, quantity: int, day: date, served: int = 0) -> tuple[Line, dict[str, int]]:
        made = Line(
            office_id=key[0],
            item_id=key[1],
            kind=kind,
            reason=reason,
            quantity=quantity,
            effective_on=day,
            served_waiting=served,
        )
        return made, {}

    found = [line(Kind.RECEIPT, "opening", OPENING, FIRST)]
    for number in range(days):
        day = FIRST + timedelta(days=number)
        for reason, quantity in USED:
            found.append(line(Kind.PRINT, reason, quantity, day, number % 3 if reason == "new" else 0))
        found.append(line(Kind.SPOIL, "misprint", 1, day))
    return found


def _bare(values: list[tuple[Any, ...]], *, keys: bool) -> float:
    """Seconds of a COPY of these rows, its commit included, into a table that is then dropped."""
    connection = db.session.connection()
    connection.exec_driver_sql("CREATE TABLE bench_rows (LIKE movements INCLUDING ALL)")
    if keys:
        query = (
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'movements'::regclass AND contype = 'f'"
        )
        for (definition,) in connection.exec_driver_sql(query).all():
            connection.exec_driver_sql(f"ALTER TABLE bench_rows ADD {definition}")
    db.session.commit()
    seconds, _ = timed(_copying(values))
    db.session.connection().exec_driver_sql("DROP TABLE bench_rows")
    db.session.commit()
    return seconds


def _copying(values: list[tuple[Any, ...]]) -> Callable[[], None]:
    def work() -> None:
        driver: Any = db.session.connection().connection.driver_connection
        with driver.cursor() as cursor, cursor.copy("COPY bench_rows FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
        db.session.commit()

    return work
