"""The ledger's part for what is posted in one statement, on PostgreSQL: one round trip, which is its own transaction.

Called by `inventory.services.ledger` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Insert,
    Integer,
    String,
    bindparam,
    case,
    exists,
    literal_column,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from inventory.db import Ready, ready, write_at_once
from inventory.domain.ledger import FIGURES, NEVER_NEGATIVE, Line
from inventory.models import Balance, DailyTotal, Item, Movement, Office, StockCheck
from inventory.services.ledger_rows import INSERT, Recorded, as_written, changes_stock, row_of


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What somebody remembers of an office and an item. A statement that is given it finds out by itself whether it is
    still so, and writes nothing when it is not."""

    office_id: int
    office_code: str
    path: str
    time_zone: str
    item_id: int
    item_code: str
    prints_per_unit: int | None


@dataclass(frozen=True)
class Beside:
    """What else is written by the very statement that writes a movement: an INSERT made from that movement's `id` and
    `seq`, whose parameters have names of their own, and their values."""

    insert: Callable[[CTE], Insert]
    values: Mapping[str, Any]


def write(
    line: Line, stamp: Mapping[str, Any], beside: Beside | None = None, facts: Facts | None = None
) -> Recorded | None:
    """A line in one round trip, where nothing about it is out of the ordinary: no reversal, no numbers, no later day
    that it could upset, and stock enough. Else None, and nothing was written: then the general way is gone, which says
    what is wrong, if anything is.
    """
    if line.reverses_id is not None or line.ranges or not changes_stock([line]):
        return None
    effect = {f"by_{figure}": by for figure, by in zip(FIGURES, line.effect, strict=True)}
    values: dict[str, Any] = {**row_of(line), **stamp, **effect, "request_line": 1}
    values |= {"is_synthetic": stamp["origin"] == "synthetic", **(beside.values if beside else {})}
    values |= vars(facts) if facts else {}
    try:
        written = write_at_once(_statement(beside.insert if beside else None, sure=facts is None), values)
    except IntegrityError:  # posted before, or what the database refuses in any case
        return None
    return as_written(line, written[0].id, written[0].seq, stamp["recorded_at"], {}) if written else None


@cache
def _statement(beside: Callable[[CTE], Insert] | None, *, sure: bool) -> Ready:
    """The statement of `write`, compiled once; with facts of which nobody is `sure`, these are looked at as well.

    Its parts take their locks in the order of the general way, or postings of the two kinds could wait for each other:
    the balance, the daily total, the look, and only then what an INSERT of movements takes. PostgreSQL looks at what
    the last SELECT asks for by EXISTS before it begins with the movement.
    """
    changed = (_changed() if sure else _changed().where(_still_so())).cte("changed")
    totalled = _totalled(changed).returning(_ONE.label("done")).cte("totalled")
    looked = _looked(changed).returning(_ONE.label("done")).cte("looked")
    row = select(*(_given(Movement, name) for name in _AS_GIVEN), changed.c.last_seq)
    moved = INSERT.from_select([*_AS_GIVEN, "seq"], row).returning(Movement.id, Movement.seq).cte("moved")
    last = select(moved.c.id, moved.c.seq).where(*(exists(select(part.c[0])) for part in (totalled, looked)))
    if beside is not None:
        last = last.add_cte(beside(moved).cte("beside"))
    return ready(last)


_AS_GIVEN = (
    "office_id",
    "item_id",
    "kind",
    "reason",
    "quantity",
    "served_waiting",
    "effective_on",
    "shift",
    "happened_at",
    "note",
    "actor_id",
    "recorded_at",
    "request_id",
    "request_line",
    "request_digest",
    "origin",
)
"""The columns of a movement that its line and its posting say."""
_ONE = literal_column("1", Integer)
"""Not a parameter: they are all given by name."""


def _given(table: type[Movement] | type[Balance], name: str, parameter: str | None = None) -> BindParameter[Any]:
    return bindparam(parameter or name, type_=table.__table__.c[name].type)


def _changed() -> Any:
    """The balance, if nothing speaks against it. What `_conditional_update` is for known lines."""
    table: Any = Balance.__table__
    columns = table.c
    by = {figure: _given(Balance, figure, f"by_{figure}") for figure in FIGURES}
    day = _given(Balance, "last_on", "effective_on")
    numbered = select(Item.numbered).where(Item.id == _given(Balance, "item_id")).scalar_subquery()
    values: dict[str, Any] = {figure: columns[figure] + by[figure] for figure in FIGURES}
    values["last_seq"] = columns.last_seq + _ONE
    values["first_on"] = case((columns.first_on < day, columns.first_on), else_=day)
    values["last_on"] = day
    values["synthetic"] = or_(columns.synthetic, _given(Balance, "synthetic", "is_synthetic"))
    return (
        update(table)
        .where(
            columns.office_id == _given(Balance, "office_id"),
            columns.item_id == _given(Balance, "item_id"),
            *(columns[figure] + by[figure] >= text("0") for figure in NEVER_NEGATIVE),
            or_(columns.last_on.is_(None), columns.last_on <= day),
            not_(numbered),
        )
        .values(values)
        .returning(columns.last_seq)
    )


def _still_so() -> ColumnElement[bool]:
    """Whether the Facts are as they were."""
    prints = bindparam("prints_per_unit", type_=Integer)
    return (
        exists()
        .where(
            Office.id == bindparam("office_id", type_=Integer),
            Office.code == bindparam("office_code", type_=String),
            Office.path == bindparam("path", type_=String),
            Office.time_zone == bindparam("time_zone", type_=String),
        )
        .where(
            Item.id == bindparam("item_id", type_=Integer),
            Item.code == bindparam("item_code", type_=String),
            Item.active,
            Item.prints_per_unit.is_not_distinct_from(prints),
        )
    )


def _totalled(changed: CTE) -> Any:
    table: Any = DailyTotal.__table__
    names = [column.name for column in table.primary_key]
    row = [_given(Movement, "effective_on" if name == "day" else name) for name in (*names, *_SUMS)]
    statement = postgresql.insert(table).from_select([*names, *_SUMS], select(*row).select_from(changed))
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: table.c[name] + statement.excluded[name] for name in _SUMS},
    )


_SUMS = ("quantity", "served_waiting")


def _looked(changed: CTE) -> Any:
    table: Any = StockCheck.__table__
    given = [_given(Movement, name) for name in ("office_id", "item_id", "recorded_at")]
    row = select(*given, _ONE).select_from(changed)
    statement = postgresql.insert(table).from_select(["office_id", "item_id", "since", "postings"], row)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"postings": table.c.postings + _ONE}
    )
