"""Plain values as a table within a statement, on both databases."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from sqlalchemy import JSON, BigInteger, Date, Float, Integer, String, select

from inventory.db import db
from inventory.services.row_sets import table_of
from tests.world import World

TYPES = {"place": Integer, "many": BigInteger, "rate": Float, "day": Date, "word": String}
ROWS: list[tuple[Any, ...]] = [
    (0, 2**40, 0.1 + 0.2, date(2026, 11, 23), "out"),
    (1, None, None, None, None),
    (2, -3, 1e-9, date(2024, 2, 29), 'it\'s {not} "null", but NULL\\'),
]


def read(rows: list[tuple[Any, ...]], types: dict[str, Any]) -> list[tuple[Any, ...]]:
    table = table_of("told", rows, types)
    return [tuple(row) for row in db.session.execute(select(table).order_by(table.c.place))]


def test_values_come_back_as_they_went_in(world: World) -> None:
    assert read(ROWS, TYPES) == ROWS
    assert read(ROWS[:1], TYPES) == ROWS[:1], "and so does one row, of which the database keeps the statement"


def test_no_rows_are_no_rows(world: World) -> None:
    assert read([], TYPES) == []


def test_documents_come_back_as_they_went_in(world: World) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite is told documents one by one")
    facts = [{"text": 'a "b" \\ {c,d}\n\x1f é', "none": None, "figures": [1, 2.5]}, {}]
    packed = [(place, json.dumps(each)) for place, each in enumerate(facts)]
    assert [row[1] for row in read(packed, {"place": Integer, "facts": JSON})] == facts
