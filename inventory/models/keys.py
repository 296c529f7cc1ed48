"""Numbers and names as `domain.keys` compares them, in SQL, and the indexes that find them by their beginning."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Index, String, func, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from inventory.domain.keys import MARKS


class ByteOrder(ColumnElement[str]):
    """A column compared byte by byte, as SQLite does by itself and PostgreSQL when it is told, whatever its locale."""

    inherit_cache = True
    type = String()
    _traverse_internals: Any = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012  (SQLAlchemy's own form)

    def __init__(self, column: Any) -> None:
        self.column = column


@compiles(ByteOrder)
def _plain(element: ByteOrder, compiler: Any, **options: Any) -> str:
    return compiler.process(element.column, **options)


@compiles(ByteOrder, "postgresql")
def _collated(element: ByteOrder, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(element.column, **options)} COLLATE "C")'


def key(column: Any) -> ColumnElement[str]:
    """SQL: `domain.keys.key_of` of a column. Its constants are no parameters, else no index is found by it."""
    found: Any = ByteOrder(column.__clause_element__() if hasattr(column, "__clause_element__") else column)
    for mark in MARKS:
        found = func.replace(found, text(f"'{mark}'"), text("''"))
    return func.lower(found)


def find_by_number(column: Any, *offices: Any) -> None:
    """Index a column by its keys: in the whole country, and within each of the offices that a row belongs to."""
    table, name = column.class_.__table__, column.key
    Index(f"ix_{table.name}_{name}_key", key(table.c[name]))
    for office in offices:
        Index(f"ix_{table.name}_{office.key}_{name}_key", table.c[office.key], key(table.c[name]))
