"""Plain values as a table within a statement, so that one statement writes thousands of rows in one round trip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, String, bindparam, cast, column, func, select, type_coerce

from inventory.db import on_postgresql

BETWEEN = "\x1f"
"""Stands between two values: JSON writes no control character as it is, and our words have none."""


def table_of(name: str, rows: Sequence[Sequence[Any]], types: Mapping[str, Any]) -> Any:
    """The rows as a table of that name, with columns of these names and SQL types: numbers, days, words of ours (none
    of them empty) and, for a column of type JSON, text that `json.dumps` wrote. None is NULL."""
    if on_postgresql():
        return unnested(name, rows, types)
    document = bindparam(None, json.dumps(rows, default=str), String, unique=True)
    each = func.json_each(document).table_valued("value")
    # Days stay the text that SQLite keeps them as.
    found = [
        type_coerce(func.json_extract(each.c.value, f"$[{place}]"), kind).label(key)
        for place, (key, kind) in enumerate(types.items())
    ]
    return select(*found).select_from(each).subquery(name)


def unnested(name: str, rows: Sequence[Sequence[Any]], types: Mapping[str, Any]) -> Any:
    """The same for PostgreSQL."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    arrays = [_array(values, kind) for values, kind in zip(columns, types.values(), strict=True)]
    return func.unnest(*arrays).table_valued(*(column(*each) for each in types.items()), name=name).render_derived()


def _array(values: Iterable[Any], kind: Any) -> Any:
    # As one text: the driver turns the values of an array into text one by one, at ten times the price, and every
    # quotation mark of every document would have to be escaped and read back.
    text = bindparam(None, BETWEEN.join("" if each is None else str(each) for each in values), String, unique=True)
    return cast(func.string_to_array(text, BETWEEN, ""), ARRAY(kind))
